import { putBytes, putImage, startRegistry } from "@varve-tools/test-registry";
import { mediaTypes } from "@varve/oci";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { varve } from "./command.ts";
import type { Outcome } from "./command.ts";
import { serve } from "./server.ts";
import { tempDirectory } from "./temp.ts";
import { Terminal } from "./terminal.ts";

const isRoot = process.geteuid?.() === 0;

/** Pulls into an empty store, without progress. */
async function pull(name: string): Promise<Outcome> {
  await using root = await tempDirectory();
  return await varve(["pull", "--root", root.path, "--snapshotter", "native", "--progress", "none", name]);
}

/** One line that says what, where and why. */
function complaint(pattern: RegExp): unknown {
  return expect.stringMatching(new RegExp(`^varve: [^\\n]*${pattern.source}[^\\n]*\\n$`));
}

test.each([
  [["pull"], "missing required argument"],
  [["pull", "--nonsense", "app"], "unknown option '--nonsense'"],
  [["pull", "UPPER CASE"], "UPPER CASE"],
  [["pull", "app", "--platform", "a/b/c/d/e"], "a/b/c/d/e"],
  [["pull", "app", "--snapshotter", "zfs"], "snapshotter zfs: not known, there are overlay, native"],
  [["pull", "app", "--progress", "loud"], "Allowed choices are auto, tty, plain, json, none"],
  [["pull", "app", "--progress-interval", "50ms"], "Not from 100ms to 1d"],
  [["pull", "one", "two"], "too many arguments"],
  [["fly"], "unknown command 'fly'"],
  [["images", "fly"], "unknown command 'fly'"],
  [["layer", "apply", "dir"], "needs a layer and a directory"],
  [["layer", "apply", "-", "-", "dir"], "standard input is one layer"],
  [["serve"], "required option '--listen"],
  [["serve", "--listen", "5000"], "not HOST:PORT"],
  [["serve", "--listen", "127.0.0.1:70000"], "not HOST:PORT"],
  [["images", "ls", "-q", "--json"], "only one of them"],
  [["images", "rm"], "missing required argument"],
  [["images", "tag", "app", "UPPER CASE"], "UPPER CASE"],
  [["content", "get", "app"], "not of the form algorithm:hex"],
  [["content", "get", `sha256:${"0".repeat(64)}`, "--range", "9-1"], "Not FIRST-LAST"],
  [["content", "rm", "sha256:0"], "wrong number of hex digits"],
  [["content", "fetch", "app", "--platform", "a/b/c/d/e"], "a/b/c/d/e"],
  [["leases", "create", "--expires", "soon"], "Not a duration"],
  [["leases", "create", "--label", "x"], "Not NAME=VALUE"],
  [["gc", "everything"], "too many arguments"],
  [["gc", "--ingest-age", "-1h"], "Not a duration"],
  [["gc", "why"], "missing required argument"],
  [["gc", "why", "x", "--type", "file"], "Allowed choices are content, snapshot, image, lease, ingest"],
  [["gc", "why", "x", "--type", "content"], "not of the form algorithm:hex"],
  [["pull", "-q", "--json", "app"], "only one of them"],
  [["pull", "app", "--platform", "all"], "all"],
  [["pull", "app", "--max-concurrent-downloads", "0"], "Not a number from 1 on"],
  [["pull", "app", "--limit", "x=1"], "Not NAME=VALUE"],
  [["digest", "app", "--tls-verify=maybe"], "Not true or false"],
  [["digest", "app", "--cert-file", "x"], "one needs the other"],
  [["digest", "app", "--creds", "me:x", "--registry-token", "x"], "only one of them"],
  [["digest", "app", "--retry-times", "-1"], "Not a number from 0"],
  [["digest", "app", "--retry-delay", "soon"], "Not a duration"],
  [["digest", "127.0.0.1:1/app", "--user-agent-prefix", "a\nb"], "user-agent"],
  [["digest", "127.0.0.1:1/app", "--ca-file", "/dev/null"], "not a PEM certificate"],
  [["push", "app", "--upload-chunk-size", "0"], "Not a number of bytes"],
  [["copy", "app", `b@sha256:${"0".repeat(64)}`], "name a tag"],
  [["copy", "app", "b", "--src-creds", "me:x", "--dest-creds", "me:y"], "one login for a registry"],
  [["copy", "app", "b", "--creds", "me:x", "--dest-creds", "me:y"], "one login for a registry"],
  [["delete", "a.example/a:1", "b.example/b:1", "--creds", "me:x"], "a.example and b.example"],
  [
    ["serve", "--listen", "127.0.0.1:0", "--upstream", "a.example", "--upstream", "b.example", "--creds", "me:x"],
    "is for",
  ],
  [["export", "app", "UPPER CASE", "-o", "-"], "UPPER CASE"],
  [["export", "app", "-o", "x", "--oci-layout", "y"], "not both"],
  [["import", "-", "--name", "UPPER CASE"], "UPPER CASE"],
  [["import", "-", "--max-bytes", "x"], "Not a number of bytes"],
  [["images"], "Usage: varve images"],
  [[], "Usage: varve"],
])("a wrong command line ends with 2: varve %j", async (args, message) => {
  const outcome = await varve(args);
  expect(outcome).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining(message) });
});

test.each([
  ["--creds", ["digest", "app", "--creds", "planted-secret"]],
  ["--src-creds", ["copy", "app", "other.example/app", "--src-creds", "planted-secret"]],
  ["-p", ["login", "registry.example", "-u", "me", "-p", "planted-secret"]],
  ["--password=", ["login", "registry.example", "--password=planted-secret"]],
])("a secret in a wrong command line is not repeated (A14): %s", async (_option, args) => {
  const outcome = await varve(args);
  expect(outcome).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringMatching(/USER:PASSWORD|--password-stdin/),
  });
  expect(outcome.stderr).not.toContain("planted");
});

test("an image that does not exist ends with 3", async () => {
  await using registry = await startRegistry();
  const outcome = await pull(`${registry.host}/nothing:v1`);
  expect(outcome).toMatchObject({ code: 3, stdout: "", stderr: complaint(/nothing.*404/) });
});

test("a registry that wants to know who asks ends with 4", async () => {
  await using server = await serve((_request, response) => {
    response.writeHead(401, { "www-authenticate": 'Basic realm="test"' }).end();
  });
  expect(await pull(`${server.host}/app`)).toMatchObject({ code: 4, stderr: complaint(/wants a user and a password/) });
});

test("bytes that are not what their digest says end with 5, and nothing of them stays", async () => {
  const config = { mediaType: mediaTypes.ociConfig, digest: digestOf("something else"), size: 2 };
  const manifest = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [] });
  await using server = await serve((request, response) => {
    if (request.url?.includes("/blobs/") === true) response.end("{}");
    else response.writeHead(200, { "content-type": mediaTypes.ociManifest }).end(manifest);
  });
  await using root = await tempDirectory();
  const common = ["--root", root.path, "--snapshotter", "native", "--progress", "none"];
  const outcome = await varve(["pull", ...common, `${server.host}/app`]);
  expect(outcome).toMatchObject({ code: 5, stderr: complaint(/sha256:.*digest/) });
  expect(await varve(["content", "ingests", "--quiet", ...common])).toMatchObject({ code: 0, stdout: "" });
});

test("a registry that nobody answers for ends with 6, and a hint", async () => {
  // No port that the system gives out: a server of another test could be given that.
  expect(await pull("127.0.0.1:1/app")).toMatchObject({
    code: 6,
    stderr: complaint(/ECONNREFUSED.*\(trying again may help\)/),
  });
});

test("a registry that wants to be left alone for an hour ends with 7", async () => {
  await using server = await serve((_request, response) => {
    response.writeHead(429, { "retry-after": "3600" }).end();
  });
  expect(await pull(`${server.host}/app`)).toMatchObject({ code: 7, stderr: complaint(/429/) });
});

test("a Docker schema 1 image ends with 8", async () => {
  const body = JSON.stringify({ schemaVersion: 1, name: "app", tag: "latest", fsLayers: [], history: [] });
  await using server = await serve((_request, response) => {
    response.writeHead(200, { "content-type": "application/vnd.docker.distribution.manifest.v1+prettyjws" }).end(body);
  });
  expect(await pull(`${server.host}/app`)).toMatchObject({ code: 8, stderr: complaint(/schema 1/) });
});

test("a snapshotter that cannot work here ends with 8, before anything is fetched", async () => {
  await using registry = await startRegistry();
  await using root = await tempDirectory();
  const name = await registry.tag("app", await putImage(registry.content, [{ file: "text" }]));
  // Root loses the capability; others never had it.
  const before = isRoot ? ["setpriv", "--bounding-set=-sys_admin"] : [];
  const args = ["pull", "--root", root.path, "--snapshotter", "overlay", name];
  // Also the second time, when there is a store.
  for (let round = 0; round < 2; round += 1) {
    const outcome = await varve(args, { before });
    expect(outcome).toMatchObject({ code: 8, stderr: complaint(/overlay snapshots in .*: not possible/) });
  }
  expect(registry.sent.size).toBe(0);
});

test("a store that is damaged ends with 5, anything else with 1, in one line", async () => {
  await using root = await tempDirectory();
  expect(await varve(["images", "ls", "--root", "/dev/null/store"])).toMatchObject({
    code: 1,
    stderr: complaint(/ENOTDIR/),
  });
  const { writeFile } = await import("node:fs/promises");
  await writeFile(`${root.path}/metadata.db`, "something else entirely, and longer than a header".repeat(9));
  expect(await varve(["images", "ls", "--root", root.path])).toMatchObject({ code: 5, stderr: complaint(/database/) });
});

test.each(["plain", "tty", "json"])("a store that cannot be opened is told with progress as %s, too", async (mode) => {
  const outcome = await varve(["pull", "localhost:1/app", "--root", "/dev/null/store", "--progress", mode]);
  expect(outcome.code).toBe(1);
  const terminal = new Terminal(200, 24);
  terminal.write(outcome.stderr);
  expect(terminal.text).toEqual([expect.stringMatching(/^varve: .*ENOTDIR/)]);
});

test("what a registry says cannot steer the terminal", async () => {
  const message = "no\u001B[2J\u001B]0;owned\u0007\r\nentry\u009B31m\u202E!";
  await using server = await serve((_request, response) => {
    const body = JSON.stringify({ errors: [{ code: "DENIED", message }] });
    response.writeHead(403, { "content-type": "application/json" }).end(body);
  });
  for (const mode of ["plain", "tty", "json"]) {
    await using root = await tempDirectory();
    const outcome = await varve(["pull", `${server.host}/app`, "--root", root.path, "--progress", mode]);
    expect(outcome.code).toBe(4);
    // It throws at what it does not know, and what was drawn is gone.
    const terminal = new Terminal(500, 24);
    terminal.write(outcome.stderr);
    expect(terminal.text).toEqual([expect.stringMatching(/^varve: [ -~]*entry[ -~]*$/)]);
  }
});

test("an image's platform cannot steer the terminal", async () => {
  await using registry = await startRegistry();
  const platform = { os: "linux", architecture: "\u001B[31mred\nchain forged" };
  const image = await putImage(registry.content, [{ file: "text" }], platform);
  const outcome = await pull(await registry.tag("app", image));
  expect(outcome).toMatchObject({ code: 0, stdout: expect.stringMatching(/^([ -~]*\n){3}$/), stderr: "" });
});

test("a broken layer ends with 5", async () => {
  await using registry = await startRegistry();
  const { content } = registry;
  const layer = await putBytes(content, mediaTypes.ociLayerGzip, Buffer.from("no gzip"));
  const good = await putImage(content, [{ file: "text" }]);
  const { readBlob } = await import("@varve/content");
  const manifest = JSON.parse(Buffer.from(await readBlob(content, good)).toString()) as object;
  const bad = JSON.stringify({ ...manifest, layers: [layer] });
  const name = await registry.tag("app", await putBytes(content, mediaTypes.ociManifest, Buffer.from(bad)));
  expect(await pull(name)).toMatchObject({ code: 5, stderr: complaint(/layer sha256:/) });
});
