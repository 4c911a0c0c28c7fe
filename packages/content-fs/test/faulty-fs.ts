// Makes one call to the file system fail, by replacing functions of node:fs before the store is loaded. Import this first.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { constants } from "node:os";

let left = Number.POSITIVE_INFINITY;
let failure = "EIO";
let kind = "";
let fired: string | undefined;

/** The `n`-th call from now on that `names` contains fails, with this code of the system. */
export function arm(n: number, code: string, names: string): void {
  [left, failure, kind, fired] = [n, code, names, undefined];
}

/** Stops it, and names the call that failed. */
export function disarm(): string | undefined {
  left = Number.POSITIVE_INFINITY;
  return fired;
}

function next(name: string): NodeJS.ErrnoException | undefined {
  if (!kind.split(" ").includes(name.replace(/Sync$/, ""))) return undefined;
  left -= 1;
  if (left !== 0) return undefined;
  fired = name;
  const number = constants.errno[failure as keyof typeof constants.errno];
  // What Node makes of an error that libuv has no name for (F03).
  const code = failure === "EDQUOT" ? `Unknown system error -${number}` : failure;
  return Object.assign(new Error(`${code}: injected, ${name}`), { code, errno: -number, syscall: name });
}

type Anything = (...args: unknown[]) => unknown;

function wrap(target: Record<string, unknown>, name: string, fail: (error: Error, args: unknown[]) => unknown): void {
  const original = target[name] as Anything;
  const wrapped = (...args: unknown[]): unknown => {
    const error = next(name);
    return error === undefined ? Reflect.apply(original, target, args) : fail(error, args);
  };
  // What `promisify` goes by comes along.
  target[name] = Object.defineProperties(wrapped, Object.getOwnPropertyDescriptors(original));
}

const synchronous =
  "openSync writeSync renameSync unlinkSync rmSync mkdirSync chmodSync fchmodSync ftruncateSync futimesSync";
const callbacks = "write fdatasync";
const promises = "open mkdir rename unlink rm copyFile";
const module = fs as unknown as Record<string, unknown>;
for (const name of synchronous.split(" ")) {
  wrap(module, name, (error) => {
    throw error;
  });
}
for (const name of callbacks.split(" ")) {
  wrap(module, name, (error, args) => {
    const done = args.at(-1) as (error: Error) => void;
    setImmediate(() => done(error));
  });
}
for (const name of promises.split(" ")) {
  wrap(Object(fs.promises), name, async (error) => {
    throw error;
  });
}
syncBuiltinESMExports();
