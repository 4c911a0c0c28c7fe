import { spawnSync } from "node:child_process";
import { lstat, readdir, readFile, symlink, truncate, writeFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { openClient } from "@varve/client";
import { readBlob } from "@varve/content";
import { expect, test } from "vitest";
import { ended, main, start } from "./command.ts";
import { blobPath, testStore } from "./store.ts";

const hasTerminal = spawnSync("script", ["--version"]).status === 0;
const layers = [{ "etc/file": "text" }];

test("content get gives the very bytes, a part of them, or a file", async () => {
  await using store = await testStore();
  const { target } = await store.pull("app", layers);
  const bytes = Buffer.from(await readBlob(store.registry.content, target)).toString();
  expect(await store.run(["content", "get", target.digest])).toEqual({ code: 0, stdout: bytes, stderr: "" });
  expect((await store.run(["content", "get", target.digest, "-o", "-", "--range", "1-9"])).stdout).toBe(
    bytes.slice(1, 10),
  );
  expect((await store.run(["content", "get", target.digest, "--range=-5"])).stdout).toBe(bytes.slice(-5));
  expect(await store.run(["content", "get", target.digest, "--range", "99999-"])).toMatchObject({
    code: 2,
    stdout: "",
  });
  const file = `${store.path}/manifest.json`;
  await writeFile(file, "older, and longer than what comes".repeat(100));
  expect(await store.run(["content", "get", target.digest, "--output", file])).toEqual({
    code: 0,
    stdout: "",
    stderr: "",
  });
  await expect(readFile(file, "utf8")).resolves.toBe(bytes);
  // Nothing that is no plain file is replaced.
  await symlink("manifest.json", `${store.path}/link`);
  await store.run(["content", "get", target.digest, "--range", "0-0", "--output", `${store.path}/link`]);
  expect((await lstat(`${store.path}/link`)).isSymbolicLink()).toBe(true);
  await expect(readFile(file, "utf8")).resolves.toBe("{");
});

test("bytes that are not those of the digest end content get with 5, and leave the file as it was", async () => {
  await using store = await testStore();
  const { target } = await store.pull("app", layers);
  const bytes = await readFile(blobPath(store, target.digest));
  bytes[0] = 0;
  await truncate(blobPath(store, target.digest), 0).catch(() => undefined);
  await writeFile(blobPath(store, target.digest), bytes);
  const directory = await store.registry.tag("unused", target).then(() => `${store.path}/out`);
  await writeFile(directory, "before");
  const outcome = await store.run(["content", "get", target.digest, "-o", directory]);
  expect(outcome).toMatchObject({ code: 5, stdout: "", stderr: expect.stringContaining(target.digest) });
  await expect(readFile(directory, "utf8")).resolves.toBe("before");
  expect((await readdir(store.path)).filter((name) => name.startsWith("out"))).toEqual(["out"]);
  expect(await store.run(["content", "get", target.digest])).toMatchObject({ code: 5 });
});

test("a reader of a blob that goes away is no failure", async () => {
  await using store = await testStore();
  const { target } = await store.pull("app", layers);
  const child = start(["content", "get", target.digest, "--root", store.path]);
  child.stdout.destroy();
  const [stderr] = await Promise.all([text(child.stderr), ended(child)]);
  expect({ code: child.exitCode, stderr }).toEqual({ code: 0, stderr: "" });
});

test.skipIf(!hasTerminal)(
  "on a terminal a document is shown readable, and binary bytes only when asked for (skipped: there is no script command)",
  async () => {
    await using store = await testStore();
    const { target, layers: pulled } = await store.pull("app", layers);
    const onTerminal = (...args: readonly string[]): { readonly output: string; readonly status: number | null } => {
      const words = [process.execPath, main, "--root", store.path, "content", "get", ...args];
      const { status, stdout } = spawnSync("script", ["-qec", words.join(" "), "/dev/null"], { encoding: "utf8" });
      return { output: stdout, status };
    };
    expect(onTerminal(target.digest).output).toContain('{\r\n  "schemaVersion": 2,');
    const layer = onTerminal(pulled[0]?.digest ?? "");
    expect(layer).toEqual({ status: 2, output: expect.stringContaining("no text for a terminal") });
    expect(onTerminal(pulled[0]?.digest ?? "", "-o", "-").status).toBe(0);
  },
);

test("blobs are listed with size and labels, filtered, and removed by what the list prints", async () => {
  await using store = await testStore();
  const { layers: pulled, target } = await store.pull("app", layers);
  const table = await store.run(["content", "ls"]);
  expect(table.stdout).toMatch(
    new RegExp(`^${pulled[0]?.digest} +\\d+ B +\\S+Z +containerd.io/uncompressed=sha256:`, "m"),
  );
  const filter = ["--filter", `digest==${target.digest}`];
  await expect(store.json("content", "ls", ...filter)).resolves.toMatchObject({
    blobs: [{ digest: target.digest, size: target.size, createdAt: expect.stringMatching(/^\d{4}-.*Z$/) }],
  });
  const { stdout } = await store.run(["content", "ls", "-q"]);
  const digests = stdout.trimEnd().split("\n");
  expect(digests.toSorted()).toEqual(expect.arrayContaining([target.digest, ...pulled.map(({ digest }) => digest)]));
  expect(await store.run(["content", "rm", ...digests])).toMatchObject({ code: 0, stdout });
  await expect(store.json("content", "ls")).resolves.toEqual({ blobs: [] });
});

// G-40
test("what was not finished is listed with its size and age, and goes when it is old enough", async () => {
  await using store = await testStore();
  const client = await openClient({ root: store.path, snapshotter: "native" });
  for (const ref of ["layer-one", "other\u001B[2J"]) {
    const writer = await client.content.writer(ref, { expected: { size: 5000 } });
    await writer.write(Buffer.alloc(1234));
    await writer.close();
  }
  await client.close();
  const { stdout } = await store.run(["content", "ingests"]);
  expect(stdout).toMatch(/^REF +SIZE +OF +AGE +LAST WRITE\n/);
  expect(stdout).toMatch(/^layer-one +1\.23 kB +5\.00 kB +\d+ s +\d{4}-.*Z$/m);
  expect(stdout).toContain("other?[2J");
  expect((await store.run(["content", "ingests", "-q", "--filter", "ref~=layer"])).stdout).toBe("layer-one\n");
  await expect(store.json("gc")).resolves.toMatchObject({ removed: [] });
  await expect(store.json("gc", "--ingest-age", "0")).resolves.toMatchObject({
    removed: [{ type: "ingest" }, { type: "ingest" }],
    failed: [],
  });
  await expect(store.json("content", "ingests")).resolves.toEqual({ ingests: [] });
});
