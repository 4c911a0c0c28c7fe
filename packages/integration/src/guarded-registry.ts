import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exec } from "@varve-tools/corpus";
import { freePort } from "./tls-registry.ts";
import { issuer, service } from "./token-server.ts";
import type { TokenServer } from "./token-server.ts";

/** Debian's docker-registry on loopback, which wants to know who asks. */
export interface GuardedRegistry extends AsyncDisposable {
  readonly host: string;
}

/** @param directory where its files go; it is not removed */
export async function startHtpasswdRegistry(
  directory: string,
  user: { readonly name: string; readonly password: string },
): Promise<GuardedRegistry> {
  const file = join(directory, "htpasswd");
  await mkdir(directory, { recursive: true });
  const { stdout } = await exec("htpasswd", ["-Bbn", user.name, user.password]);
  await writeFile(file, stdout);
  return start(directory, `htpasswd: { realm: varve, path: ${file} }`);
}

export async function startTokenRegistry(directory: string, tokens: TokenServer): Promise<GuardedRegistry> {
  await mkdir(directory, { recursive: true });
  const { certificate, url } = tokens;
  return start(
    directory,
    `token: { realm: "${url}", service: "${service}", issuer: "${issuer}", rootcertbundle: ${certificate} }`,
  );
}

async function start(directory: string, auth: string): Promise<GuardedRegistry> {
  const host = `127.0.0.1:${await freePort()}`;
  const [config, log] = [join(directory, "config.yml"), join(directory, "log")];
  const storage = `storage: { filesystem: { rootdirectory: ${join(directory, "data")} } }`;
  await writeFile(config, ["version: 0.1", storage, `http: { addr: "${host}" }`, `auth: { ${auth} }`, ""].join("\n"));
  const output = await open(log, "a");
  const child = spawn("docker-registry", ["serve", config], { stdio: ["ignore", output.fd, output.fd] });
  await output.close();
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const close = async (): Promise<void> => {
    child.kill();
    await exited;
  };
  if (await isUp(host, child)) return { host, [Symbol.asyncDispose]: close };
  await close();
  throw new Error(`docker-registry on ${host}: does not answer\n${await readFile(log, "utf8")}`);
}

/** Waits until it answers, or has ended. */
async function isUp(host: string, child: ChildProcess): Promise<boolean> {
  while (child.exitCode === null && child.signalCode === null) {
    const status = await fetch(`http://${host}/v2/`).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 401) return true;
    await sleep(20);
  }
  return false;
}
