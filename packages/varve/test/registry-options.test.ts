import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { main, varve } from "./command.ts";
import { serve } from "./server.ts";
import type { TestServer } from "./server.ts";
import { tempDirectory } from "./temp.ts";

const own = "own:planted-secret-1";
const kept = "kept:planted-secret-2";
const index = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] });
const digest = `${digestOf(index)}\n`;
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
const hasTerminal = spawnSync("script", ["--version"]).status === 0;

function basic(pair: string): string {
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}

/** Answers every name with an empty index, and takes one. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  if (request.method === "PUT") {
    request.resume().once("end", () => response.writeHead(201, { "docker-content-digest": digestOf(index) }).end());
    return;
  }
  const headers = { "content-type": mediaTypes.ociIndex, "docker-content-digest": digestOf(index) };
  response.writeHead(200, { ...headers, "content-length": index.length });
  response.end(request.method === "HEAD" ? undefined : index);
}

interface NotingServer extends TestServer {
  readonly requests: readonly IncomingMessage[];
  /** What it was shown of credentials, each once. */
  shown(): readonly string[];
}

/** @param accepted the authorizations that are let in; with none, everybody is */
async function noting(accepted: readonly string[] = [], onRequest = answer): Promise<NotingServer> {
  const requests: IncomingMessage[] = [];
  const server = await serve((request, response) => {
    requests.push(request);
    if (accepted.length === 0 || accepted.includes(request.headers.authorization ?? "")) onRequest(request, response);
    else response.writeHead(401, { "www-authenticate": 'Basic realm="here"' }).end();
  });
  const shown = (): string[] => [
    ...new Set(requests.map(({ headers }) => headers.authorization).filter((one) => one !== undefined)),
  ];
  return { ...server, requests, shown };
}

async function writeHosts(directory: string, host: string, text: string): Promise<void> {
  const path = join(directory, `${host.replace(":", "_")}_`);
  await mkdir(path, { recursive: true });
  await writeFile(join(path, "hosts.toml"), text);
}

// T4, A15, promise 9
test("credentials of the command line are for its registry, and no mirror sees them", async () => {
  await using server = await noting([basic(own)]);
  await using mirror = await noting([basic("nobody")]);
  await using temp = await tempDirectory();
  await writeHosts(temp.path, server.host, `[host."http://${mirror.host}"]\n`);
  const args = ["digest", `${server.host}/app`, "--hosts-dir", temp.path];
  expect(await varve([...args, "--creds", own])).toMatchObject({ code: 0, stdout: digest });
  expect(server.shown()).toEqual([basic(own)]);
  expect(mirror.requests.length).toBeGreaterThan(0);
  expect(mirror.shown()).toEqual([]);
});

test("an access token is for the registry of the command, too", async () => {
  await using server = await noting(["Bearer planted-secret"]);
  await using mirror = await noting([basic("nobody")]);
  await using temp = await tempDirectory();
  await writeHosts(temp.path, server.host, `[host."http://${mirror.host}"]\n`);
  const args = ["digest", `${server.host}/app`, "--hosts-dir", temp.path, "--registry-token", "planted-secret"];
  expect(await varve(args)).toMatchObject({ code: 0, stdout: digest });
  expect(mirror.requests.length).toBeGreaterThan(0);
  expect(mirror.shown()).toEqual([]);
});

test("commands of the store take credentials for the registry that they name, too", async () => {
  await using from = await noting([basic(own)]);
  await using to = await noting([basic(kept)]);
  await using root = await tempDirectory();
  const common = ["--root", root.path, "--snapshotter=native", "--progress=none", "--platform=all"];
  const name = `${from.host}/app:latest`;
  expect(await varve(["content", "fetch", name, "--creds", own, ...common])).toMatchObject({ code: 0, stderr: "" });
  const pushed = await varve(["push", "-q", name, `${to.host}/app`, "--creds", kept, ...common]);
  expect(pushed).toEqual({ code: 0, stdout: digest, stderr: "" });
  expect([from.shown(), to.shown()]).toEqual([[basic(own)], [basic(kept)]]);
});

test("copy has credentials for each side, and will not guess for whom others are", async () => {
  await using from = await noting([basic(own)]);
  await using to = await noting([basic(kept)]);
  const args = ["copy", "-q", `${from.host}/app`, `${to.host}/app`];
  expect(await varve([...args, "--src-creds", own, "--dest-creds", kept])).toEqual({
    code: 0,
    stdout: digest,
    stderr: "",
  });
  expect([from.shown(), to.shown()]).toEqual([[basic(own)], [basic(kept)]]);
  const guess = await varve([...args, "--creds", own]);
  expect(guess).toMatchObject({ code: 2, stderr: expect.stringContaining("say --src-creds or --dest-creds") });
  expect(guess.stderr).not.toContain("planted");
});

test("credentials come from the file that is named or in the environment, --no-creds shows none, a missing file is told", async () => {
  await using server = await noting([basic(kept)]);
  await using temp = await tempDirectory();
  const file = join(temp.path, "auth.json");
  const auth = basic(kept).slice("Basic ".length);
  await writeFile(file, JSON.stringify({ auths: { [server.host]: { auth } } }));
  const args = ["digest", `${server.host}/app`];
  expect(await varve([...args, "--authfile", file])).toEqual({ code: 0, stdout: digest, stderr: "" });
  expect(await varve(args, { env: { REGISTRY_AUTH_FILE: file } })).toMatchObject({ code: 0, stdout: digest });
  const before = server.requests.length;
  expect(await varve([...args, "--authfile", file, "--no-creds"])).toMatchObject({ code: 4 });
  expect(server.requests.slice(before).map(({ headers }) => headers.authorization)).toEqual([undefined]);
  const missing = await varve([...args, "--authfile", `${file}.not`]);
  expect(missing.code).toBe(4);
  expect(missing.stderr).toContain(`${file}.not: no such file`);
});

test("files with mirrors and certificates that are named must be there", async () => {
  for (const option of ["--hosts-dir", "--registries-conf", "--ca-file"]) {
    const outcome = await varve(["digest", "127.0.0.1:1/app", option, "/nonexistent/file"]);
    expect(outcome, option).toMatchObject({ code: 3, stderr: expect.stringContaining("/nonexistent/file: no such") });
  }
});

test("login looks at the hosts directory, and checks at the registry itself", async () => {
  await using server = await noting([basic(own)], (_request, response) => response.end("{}"));
  await using temp = await tempDirectory();
  const url = `http://${server.host}`;
  await writeHosts(temp.path, server.host, `[host."${url}"]\n[host."${url}".header]\nx-known = "yes"\n`);
  const file = join(temp.path, "auth.json");
  const args = ["login", server.host, "-u", "own", "--password-stdin", "--authfile", file, "--hosts-dir", temp.path];
  const outcome = await varve(args, { input: Buffer.from("planted-secret-1") });
  expect(outcome).toMatchObject({ code: 0, stderr: "" });
  expect(server.requests.every(({ headers }) => headers["x-known"] === "yes")).toBe(true);
  expect(await readFile(file, "utf8")).toContain(server.host);
});

test("retries and the name that we give ourselves can be set", async () => {
  await using server = await noting([], (_request, response) => response.writeHead(503).end());
  const args = ["digest", `${server.host}/app`, "--user-agent-prefix", "build/7", "--retry-delay", "1ms"];
  expect(await varve([...args, "--retry-times", "0"])).toMatchObject({ code: 6 });
  const once = server.requests.length;
  expect(await varve([...args, "--retry-times", "2"])).toMatchObject({ code: 6 });
  expect(server.requests.length).toBe(once * 4);
  expect(server.requests[0]?.headers["user-agent"]).toMatch(/^build\/7 varve\/\S+$/);
});

// 2.4
test.each([
  [404, {}, 3],
  [401, { "www-authenticate": 'Basic realm="here"' }, 4],
  [403, {}, 4],
  [200, { "content-type": mediaTypes.ociIndex, "docker-content-digest": digestOf("something else") }, 5],
  [503, {}, 6],
  [429, { "retry-after": "3600" }, 7],
] as const)("a registry that answers %i %j ends a command with %i", async (status, headers, code) => {
  await using server = await noting([], (request, response) => {
    response.writeHead(status, headers).end(request.method === "HEAD" ? undefined : index);
  });
  const outcome = await varve(["manifest", `${server.host}/app`, "--retry-times", "0"]);
  expect(outcome).toMatchObject({ code, stdout: "", stderr: expect.stringMatching(/^varve: [^\n]+\n$/) });
});

test.skipIf(!hasTerminal)("a manifest is indented for a terminal, and cannot play with it", async () => {
  const text = JSON.stringify({ ...JSON.parse(index), annotations: { a: "\u009b31m" } });
  await using server = await noting([], (request, response) => {
    const headers = { "content-type": mediaTypes.ociIndex, "docker-content-digest": digestOf(text) };
    response.writeHead(200, { ...headers, "content-length": Buffer.byteLength(text) });
    response.end(request.method === "HEAD" ? undefined : text);
  });
  const command = [process.execPath, main, "manifest", `${server.host}/app`].join(" ");
  const shown = await onTerminal(command);
  expect(shown).toContain('{\r\n  "schemaVersion": 2,\r\n');
  expect(shown).not.toContain("\u009b");
});

test.skipIf(!hasTerminal)("a question that is not answered ends login as an interruption", async () => {
  const command = `${process.execPath} ${main} login 127.0.0.1:1 --skip-check; echo status $?`;
  // Control-D, at the first question.
  await expect(onTerminal(command, "User at", "\u0004")).resolves.toContain("status 130");
});

describe.skipIf(!hasOpenssl)("https", () => {
  test("a certificate is trusted with --ca-file, or not looked at with -k and --tls-verify=false, for copy on one side", async () => {
    await using temp = await tempDirectory();
    const { certificate, key } = makeCertificate(temp.path);
    await using server = await serve(answer, { cert: await readFile(certificate), key: await readFile(key) });
    await using plain = await noting();
    const args = ["digest", `${server.host}/app`, "--retry-times", "0"];
    expect(await varve(args)).toMatchObject({ code: 6, stdout: "" });
    for (const flags of [["--ca-file", certificate], ["-k"], ["--insecure"], ["--tls-verify=false"]]) {
      expect(await varve([...args, ...flags]), flags.join(" ")).toEqual({ code: 0, stdout: digest, stderr: "" });
    }
    for (const flags of [["--tls-verify"], ["--tls-verify=true"]]) {
      expect(await varve([...args, ...flags]), flags.join(" ")).toMatchObject({ code: 6 });
    }
    const copy = ["copy", "-q", `${server.host}/app`, `${plain.host}/app`, "--retry-times", "0"];
    expect(await varve([...copy, "--dest-tls-verify=false"])).toMatchObject({ code: 6 });
    expect(await varve([...copy, "--src-tls-verify=false"])).toMatchObject({ code: 0, stdout: digest });
  });

  test("a client certificate proves who we are", async () => {
    await using temp = await tempDirectory();
    const { certificate, key } = makeCertificate(temp.path);
    const [cert, secret] = [await readFile(certificate), await readFile(key)];
    const tls = { cert, key: secret, ca: cert, requestCert: true, rejectUnauthorized: true };
    await using server = await serve(answer, tls);
    const args = ["digest", `${server.host}/app`, "--ca-file", certificate, "--retry-times", "0"];
    expect(await varve(args)).toMatchObject({ code: 6 });
    const known = [...args, "--cert-file", certificate, "--key-file", key];
    expect(await varve(known)).toEqual({ code: 0, stdout: digest, stderr: "" });
  });
});

/** What a command shows on a terminal, on which `typed` is typed once `question` is there. */
async function onTerminal(command: string, question = "", typed = ""): Promise<string> {
  const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["pipe", "pipe", "ignore"] });
  child.stdout.setEncoding("utf8");
  let shown = "";
  for await (const text of child.stdout) {
    const isNew = !shown.includes(question);
    shown += String(text);
    if (typed !== "" && isNew && shown.includes(question)) child.stdin.write(typed);
  }
  child.stdin.destroy();
  return shown;
}

/** A certificate for loopback that signs itself. */
function makeCertificate(directory: string): { readonly certificate: string; readonly key: string } {
  const [key, certificate] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const about = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  execFileSync("openssl", [...made, ...about, "-keyout", key, "-out", certificate], { stdio: "ignore" });
  return { certificate, key };
}
