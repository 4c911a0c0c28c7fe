import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { openCredentials } from "@varve/credentials";
import type { CredentialsOptions, CredentialStore } from "@varve/credentials";

export const password = "planted-secret-1:with/colon";

/** A home directory of its own, and nothing of the machine's. */
export interface Home extends AsyncDisposable {
  readonly path: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly warnings: string[];
  at(...names: string[]): string;
  /** Writes a file below the home directory; anything but a text as JSON. */
  write(name: string, content: unknown): Promise<string>;
  read(name: string): Promise<unknown>;
  /** Installs `docker-credential-NAME`: the body of a function of `action` and `input`, run by node. */
  helper(name: string, body: string): Promise<void>;
  open(options?: CredentialsOptions): CredentialStore;
}

export async function makeHome(more: Readonly<Record<string, string>> = {}): Promise<Home> {
  const path = await mkdtemp(join(tmpdir(), "varve-credentials-"));
  const at = (...names: string[]): string => join(path, ...names);
  const warnings: string[] = [];
  const environment = {
    HOME: path,
    XDG_RUNTIME_DIR: at("run"),
    PATH: [at("bin"), process.env["PATH"]].join(delimiter),
    ...more,
  };
  const write = async (name: string, content: unknown): Promise<string> => {
    await mkdir(dirname(at(name)), { recursive: true });
    await writeFile(at(name), typeof content === "string" ? content : JSON.stringify(content));
    return at(name);
  };
  return {
    path,
    environment,
    warnings,
    at,
    write,
    read: async (name) => JSON.parse(await readFile(at(name), "utf8")) as unknown,
    async helper(name, body) {
      const lines = [
        `#!${process.execPath}`,
        'const { readFileSync, writeFileSync, appendFileSync } = require("node:fs");',
        "const action = process.argv[2];",
        'const input = readFileSync(0, "utf8");',
        `appendFileSync(${JSON.stringify(at("helper.log"))}, action + " " + input + "\\n");`,
        'const none = () => { console.log("credentials not found in native keychain"); process.exit(1); };',
        body,
      ];
      const file = await write(`bin/docker-credential-${name}`, lines.join("\n"));
      await chmod(file, 0o755);
    },
    open: (options) => openCredentials({ environment, onWarning: (message) => warnings.push(message), ...options }),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** An entry of `auths` as docker writes it. */
export function entry(username: string, secret: string = password): { readonly auth: string } {
  return { auth: Buffer.from(`${username}:${secret}`).toString("base64") };
}

/** A helper that keeps what it is given in a file below the home directory. */
export function keepingHelper(home: Home): string {
  return `
    const file = ${JSON.stringify(home.at("kept.json"))};
    let kept = {};
    try { kept = JSON.parse(readFileSync(file, "utf8")); } catch {}
    if (action === "get") {
      if (kept[input] === undefined) none();
      console.log(JSON.stringify({ ServerURL: input, ...kept[input] }));
    } else if (action === "list") {
      console.log(JSON.stringify(Object.fromEntries(Object.entries(kept).map(([key, { Username }]) => [key, Username]))));
    } else if (action === "store") {
      const { ServerURL, ...rest } = JSON.parse(input);
      writeFileSync(file, JSON.stringify({ ...kept, [ServerURL]: rest }));
    } else {
      if (kept[input] === undefined) none();
      delete kept[input];
      writeFileSync(file, JSON.stringify(kept));
    }`;
}

/** What a promise is rejected with; awaited later, so that the rejection is never unhandled. */
export function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}
