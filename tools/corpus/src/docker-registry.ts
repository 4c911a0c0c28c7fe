import { spawn } from "node:child_process";
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
  const host = `127.0.0.1:${await freePort()}`;
  const config = join(directory, "config.yml");
  const log = join(directory, "log");
  await writeFile(config, configFor(host, join(directory, "data"), options.canDelete ?? true));
  const output = await open(log, "a");
  const child = spawn("docker-registry", ["serve", config], { stdio: ["ignore", output.fd, output.fd] });
  await output.close();
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const close = async (): Promise<void> => {
    child.kill();
    await exited;
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await answering(host);
  } catch (error) {
    await close();
    throw error;
  }
  return { host, requests: async () => requestsIn(await readFile(log, "utf8")), close, [Symbol.asyncDispose]: close };
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

async function answering(host: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const answered = await fetch(`http://${host}/v2/`).then(
      (response) => response.ok,
      () => false,
    );
    if (answered) return;
    await sleep(100);
  }
  throw new Error(`docker-registry on ${host}: does not answer`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
