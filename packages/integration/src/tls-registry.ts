import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { open, readFile, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exec } from "@varve-tools/corpus";

/** A certificate and its key, as files and as PEM. */
export interface Certificate {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly certificate: string;
  readonly key: string;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];

/** An authority of this run; its files are `<name>.crt` and `<name>.key`. */
export async function makeAuthority(directory: string, name: string): Promise<Certificate> {
  const made = filesOf(directory, name);
  const output = ["-keyout", made.keyFile, "-out", made.certificateFile];
  await exec("openssl", ["req", "-x509", ...newKey, "-subj", `/CN=${name}`, ...output]);
  return read(made);
}

/** @param names as in `subjectAltName`: `DNS:registry.example` */
export async function issue(
  authority: Certificate,
  directory: string,
  name: string,
  names: string,
): Promise<Certificate> {
  const made = filesOf(directory, name);
  const extensions = ["-addext", `subjectAltName=${names}`, "-addext", "basicConstraints=critical,CA:FALSE"];
  const signer = ["-CA", authority.certificateFile, "-CAkey", authority.keyFile];
  const output = ["-keyout", made.keyFile, "-out", made.certificateFile];
  await exec("openssl", ["req", "-x509", ...newKey, "-subj", `/CN=${name}`, ...extensions, ...signer, ...output]);
  return read(made);
}

function filesOf(directory: string, name: string): { readonly certificateFile: string; readonly keyFile: string } {
  return { certificateFile: join(directory, `${name}.crt`), keyFile: join(directory, `${name}.key`) };
}

function read(files: { readonly certificateFile: string; readonly keyFile: string }): Certificate {
  return {
    ...files,
    certificate: readFileSync(files.certificateFile, "utf8"),
    key: readFileSync(files.keyFile, "utf8"),
  };
}

/** A program that serves on a port of loopback until it is disposed. */
export interface Served extends AsyncDisposable {
  readonly port: number;
}

/**
 * Starts docker-registry with TLS. It speaks HTTP/2 where the client wants that.
 *
 * @param clients the authority of those who may come in; without one, everybody may
 */
export async function startTlsRegistry(directory: string, own: Certificate, clients?: Certificate): Promise<Served> {
  const port = await freePort();
  const config = join(directory, `registry-${port}.yml`);
  const admitted = clients === undefined ? "" : `, clientcas: ["${clients.certificateFile}"]`;
  await writeFile(
    config,
    `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: "${join(directory, `data-${port}`)}" } }
http:
  addr: "127.0.0.1:${port}"
  tls: { certificate: "${own.certificateFile}", key: "${own.keyFile}"${admitted} }
`,
  );
  return serve("docker-registry", ["serve", config], port, join(directory, `registry-${port}.log`));
}

/** Runs a program, and waits until its port takes connections, or it has ended. */
export async function serve(file: string, args: readonly string[], port: number, log: string): Promise<Served> {
  const output = await open(log, "a");
  const child = spawn(file, args, { stdio: ["ignore", output.fd, output.fd] });
  await output.close();
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const close = async (): Promise<void> => {
    child.kill();
    await exited;
  };
  while (child.exitCode === null && child.signalCode === null) {
    if (await answers(port)) return { port, [Symbol.asyncDispose]: close };
    await sleep(20);
  }
  await close();
  throw new Error(`${file} on port ${port}: does not answer\n${await readFile(log, "utf8")}`);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
