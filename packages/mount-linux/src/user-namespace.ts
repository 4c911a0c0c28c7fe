import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { CodedError } from "@varve/errors";
import type { IdMapping } from "@varve/mount";
import * as sys from "@varve/syscalls";
import { mustSucceed } from "./mount-error.ts";
import { mustStart } from "./must-start.ts";
import type { IdMappings } from "./parsed-options.ts";

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/**
 * A descriptor of a new user namespace with these mappings, which lives as long as the descriptor.
 *
 * Only a process without threads can leave its user namespace, so another program has to: it is ended as soon as the
 * namespace is open.
 *
 * @throws ERR_NOT_IMPLEMENTED there is no program `unshare`, or this system allows no user namespaces
 */
export async function openUserNamespace(ids: IdMappings, signal: AbortSignal | undefined): Promise<number> {
  signal?.throwIfAborted();
  const child = spawn("unshare", ["--user", "--", "cat"], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, LC_ALL: "C" },
  });
  await mustStart(child, "user namespace", "unshare of util-linux");
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const end = (): boolean => child.kill("SIGKILL");
  signal?.addEventListener("abort", end);
  try {
    await hasStarted(child);
    return openNamespaceOf(child, ids);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", end);
    end();
    await gone;
  }
}

/** Waits until `cat` answers: by then `unshare` has done its work and become it. */
async function hasStarted(child: Child): Promise<void> {
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  // A program that has ended already takes no more; its end is what counts.
  child.stdin.on("error", () => undefined).write("\n");
  const answered = await new Promise<boolean>((resolve) => {
    child.stdout.once("data", () => resolve(true));
    child.once("close", () => resolve(false));
  });
  if (answered && child.exitCode === null && child.signalCode === null) return;
  throw new CodedError("ERR_NOT_IMPLEMENTED", `user namespace: ${complaint.trim() || "the program unshare ended"}`);
}

function openNamespaceOf(child: Child, ids: IdMappings): number {
  const directory = `/proc/${child.pid}`;
  writeMap(`${directory}/uid_map`, ids.uid);
  writeMap(`${directory}/gid_map`, ids.gid);
  const result = sys.tryOpenat2(sys.AT_FDCWD, `${directory}/ns/user`, { flags: sys.O_RDONLY });
  return mustSucceed(result, "user namespace", "openat2");
}

function writeMap(path: string, mappings: readonly IdMapping[]): void {
  const lines = mappings.map(({ container, host, size }) => `${container} ${host} ${size}\n`);
  try {
    // The kernel takes it in one write, and only once.
    writeFileSync(path, lines.join(""), { flag: "r+" });
  } catch (cause) {
    const code = codeOf(cause) === "EPERM" ? "ERR_PERMISSION_DENIED" : "ERR_INVALID_ARGUMENT";
    throw new CodedError(code, `user namespace: the kernel refuses ${mappings.length} mappings (${String(cause)})`, {
      cause,
    });
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
