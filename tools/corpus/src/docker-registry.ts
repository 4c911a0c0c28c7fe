import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Debian's docker-registry on loopback. */
export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string;
  /** Paths of the requests so far, by method: `GET /v2/app/blobs/sha256:…`. */
  requests(): Promise<string[]>;
  close(): Promise<void>;
}

export interface DockerRegistryOptions {
  /** Whether manifests and blobs can be deleted. Default: true. */
  readonly canDelete?: boolean | undefined;
}

export async function startDockerRegistry(options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
  const directory = await mkdtemp(join(tmpdir(), "varve-registry-"));
  const log = join(directory, "log");
  let running: Running | undefined;
  // Somebody may take the port between the moment it is found free and the moment it is listened on.
  for (let attempt = 1; running === undefined; attempt += 1) {
    running = await start(directory, log, options.canDelete ?? true);
    if (running !== undefined || attempt < 5) continue;
    const why = await readFile(log, "utf8");
    await rm(directory, { recursive: true, force: true });
    throw new Error(`docker-registry: ends at once: ${why.slice(-1000)}`);
  }
  const { child, exited, host } = running;
  const close = async (): Promise<void> => {
    child.kill();
    await exited;
    await rm(directory, { recursive: true, force: true });
  };
  return { host, requests: async () => requestsIn(await readFile(log, "utf8")), close, [Symbol.asyncDispose]: close };
}

interface Running {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
  readonly host: string;
}

/** A registry that answers; `undefined` if it has ended instead. */
async function start(directory: string, log: string, canDelete: boolean): Promise<Running | undefined> {
  const host = `127.0.0.1:${await freePort()}`;
  const config = join(directory, "config.yml");
  await writeFile(config, configFor(host, join(directory, "data"), canDelete));
  const output = await open(log, "a");
  const child = spawn("docker-registry", ["serve", config], { stdio: ["ignore", output.fd, output.fd] });
  await output.close();
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  while (child.exitCode === null && child.signalCode === null) {
    if (await answers(host)) return { child, exited, host };
    await sleep(20);
  }
  return undefined;
}

function answers(host: string): Promise<boolean> {
  return fetch(`http://${host}/v2/`).then(
    (response) => response.ok,
    () => false,
  );
}

function configFor(host: string, data: string, canDelete: boolean): string {
  return `version: 0.1
log: { level: warn }
storage:
  filesystem: { rootdirectory: ${data} }
  delete: { enabled: ${canDelete} }
http: { addr: "${host}" }
`;
}

/** The access log is in the combined format, the request in quotes. */
function requestsIn(log: string): string[] {
  return [...log.matchAll(/"([A-Z]+ \/v2\/\S*) HTTP/g)].map(([, request]) => request ?? "");
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
