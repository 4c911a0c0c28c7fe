import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { openClient } from "@varve/client";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { main } from "./command.ts";
import { testStore } from "./store.ts";
import { base, one, top, two, withLayers } from "./stored-layers.ts";
import { tempDirectory } from "./temp.ts";

const isRoot = process.geteuid?.() === 0;

/** Runs `varve` with a terminal. */
function onTerminal(...args: readonly string[]): { readonly status: number | null; readonly stdout: string } {
  const command = [process.execPath, main, ...args].map((word) => `'${word}'`).join(" ");
  return spawnSync("script", ["--quiet", "--return", "--command", command, "/dev/null"], { encoding: "latin1" });
}

// S1.10, S1.12, S1.16, C-LS.4, C-LS.7
test("layers import prints the chain ID, and layers ls has parents before children, with sizes", async () => {
  await using store = await testStore();
  const file = `${store.path}/base.tar.gz`;
  await writeFile(file, gzipSync(base));
  expect(await store.run(["layers", "import", file])).toEqual({ code: 0, stdout: `${one}\n`, stderr: "" });
  const imported = await store.run(["layers", "import", "--json", "--parent", one, "-"], { input: top });
  expect(JSON.parse(imported.stdout)).toEqual({
    chainId: two,
    diffId: digestOf(top),
    parent: one,
    depth: 2,
    diffSize: 3,
    size: 2003,
  });
  // Once more is no error, and makes no other.
  expect(await store.run(["layers", "import", "-"], { input: base })).toMatchObject({ code: 0, stdout: `${one}\n` });
  const { stdout } = await store.run(["layers", "ls"]);
  expect(stdout.split("\n")).toEqual([
    expect.stringMatching(/^LAYERS +SIZE +TOTAL +CHAIN ID OR NAME +PARENT +MOUNTED ON$/),
    expect.stringMatching(new RegExp(`^1 +2\\.00 kB +2\\.00 kB +${one} +- +-$`)),
    expect.stringMatching(new RegExp(`^2 +3 B +2\\.00 kB +${two} +${one} +-$`)),
    "",
  ]);
  expect((await store.run(["layers", "ls", "-q"])).stdout).toBe(`${one}\n${two}\n`);
  await expect(store.json("layers", "ls")).resolves.toMatchObject({
    layers: [{ chainId: one }, { chainId: two }],
    readWrite: [],
  });
});

// S1.60, C-LS.4
test("layers tar gives the exact archive, uncompressed, on standard output or in a file, and the layer stays", async () => {
  await using store = await withLayers();
  const args = ["--root", store.path, "--snapshotter", "native"];
  const { stdout } = spawnSync(process.execPath, [main, "layers", "tar", one, ...args]);
  expect(stdout.equals(base)).toBe(true);
  const file = `${store.path}/out.tar`;
  await expect(store.json("layers", "tar", two, "-o", file)).resolves.toMatchObject({ chainId: two, output: file });
  expect((await readFile(file)).equals(top)).toBe(true);
  expect(await store.run(["layers", "tar", one, "-o", file])).toEqual({ code: 0, stdout: `${one}\n`, stderr: "" });
  expect(await store.run(["layers", "tar", one, "--json"])).toMatchObject({ code: 2, stdout: "" });
  expect((await store.run(["layers", "ls", "-q"])).stdout).toBe(`${one}\n${two}\n`);
});

// S1.73
test("layers tar --from gives all changes since a layer further down, and refuses one that is not", async () => {
  await using store = await withLayers();
  const file = `${store.path}/out.tar`;
  expect(await store.run(["layers", "tar", two, "--from", one, "-o", file])).toMatchObject({
    code: 0,
    stdout: `${two}\n`,
  });
  // The layer again, as a comparison makes it.
  const { stdout } = await store.run(["layers", "import", file, "--parent", one, "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({ parent: one, diffSize: 3, size: 2003 });
  expect(await store.run(["layers", "tar", one, "--from", two, "-o", file])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`layer ${one}: does not stand on ${two}`),
  });
  expect(await store.run(["layers", "tar", "box", "--from", one, "-o", file])).toMatchObject({ code: 2 });
});

test("layers tar writes nothing to a terminal, unless that is asked for", async () => {
  await using store = await withLayers();
  const args = ["--root", store.path, "--snapshotter", "native", "layers", "tar", two];
  const refused = onTerminal(...args);
  expect(refused).toMatchObject({ status: 2, stdout: expect.stringContaining("nothing for a terminal") });
  expect(refused.stdout).not.toContain("ustar");
  expect(onTerminal(...args, "-o", "-")).toMatchObject({ status: 0, stdout: expect.stringContaining("ustar") });
});

// S1.73, promise 4
test("a changed file ends layers tar with 5, is named, and leaves no output", async () => {
  await using store = await withLayers();
  const { mounts } = (await store.json("snapshots", "view", "look", one)) as { readonly mounts: [{ source: string }] };
  await writeFile(`${mounts[0].source}/etc/base`, "tampered".repeat(250));
  const outcome = await store.run(["layers", "tar", one, "-o", `${store.path}/out.tar`]);
  expect(outcome).toMatchObject({ code: 5, stdout: "", stderr: expect.stringMatching(/^varve: .*etc\/base.*\n$/) });
  await expect(readFile(`${store.path}/out.tar`)).rejects.toMatchObject({ code: "ENOENT" });
});

// S1.33
test("layers rm takes a layer with those below that nobody has, but none that another stands on", async () => {
  await using store = await withLayers();
  expect(await store.run(["layers", "rm", one])).toEqual({
    code: 1,
    stdout: "",
    stderr: `varve: layer ${one}: cannot be removed: layer ${two} stands on it\n`,
  });
  expect((await store.run(["layers", "ls", "-q"])).stdout).toBe(`${one}\n${two}\n`);
  // One that stands on another may be named after it.
  const missing = digestOf("missing");
  const outcome = await store.run(["layers", "rm", missing, one, two]);
  expect(outcome).toEqual({
    code: 3,
    stdout: `${two}\n${one}\n`,
    stderr: `varve: layer ${missing}: not found\n`,
  });
  expect((await store.run(["layers", "ls", "-q"])).stdout).toBe("");
  await store.run(["gc"]);
  expect((await store.run(["snapshots", "ls", "-q"])).stdout).toBe("");
  await store.run(["layers", "import", "-"], { input: base });
  await expect(store.json("layers", "rm", one)).resolves.toEqual({ removed: [one] });
});

const refusal = (why: string): object => ({
  code: 1,
  stdout: "",
  stderr: `varve: layer ${one}: cannot be removed: ${why}\n`,
});

// S1.33
test("layers rm says what keeps a layer that somebody uses", async () => {
  await using store = await testStore();
  await store.run(["layers", "import", "-"], { input: base });
  const remove = ["layers", "rm", one];
  await using client = await openClient({ root: store.path, snapshotter: "native" });
  const layers = await client.layerStore();
  const layer = await layers.get(one);
  expect(await store.run(remove)).toEqual(refusal("somebody refers to it"));
  const box = await layers.createRWLayer("box", { parent: layer.chainId });
  await layer.release();
  expect(await store.run(remove)).toEqual(refusal("read-write layer box stands on it"));
  await box.release();
  expect((await store.run(["layers", "ls", "-q"])).stdout).toBe("");
});

// S1.11
test.each([
  ["no chain ID", ["tar", "sha256:12"], 2, /sha256:12/],
  ["an unknown layer", ["tar", digestOf("missing")], 3, /layer sha256:\w+: not found/],
  ["an unknown parent", ["import", "-", "--parent", digestOf("missing")], 3, /layer sha256:\w+: not found/],
  ["a missing file", ["import", "/nonexistent/file"], 3, /layer \/nonexistent\/file: no such file/],
  ["a directory", ["import", "/"], 2, /layer \/: is a directory/],
  ["what is no tar", ["import", "-"], 5, /^varve: layer of standard input: at byte \d+: /],
  ["more than a limit allows", ["import", "-", "--limit", "entries=0"], 1, /entries/],
])("%s is told by the exit code, in one line", async (what, args, code, pattern) => {
  await using store = await testStore();
  const input = what === "what is no tar" ? Buffer.from("This is no tar, and longer than a block. ".repeat(30)) : base;
  const outcome = await store.run(["layers", ...args], { input });
  expect(outcome).toMatchObject({ code, stdout: "", stderr: expect.stringMatching(pattern) });
  expect(outcome.stderr.trimEnd().split("\n")).toHaveLength(1);
  expect((await store.run(["snapshots", "ls", "-q"])).stdout).toBe("");
});

// A process that may not mount has its layers as single directories.
test("layers are imported and read without the right to mount", async () => {
  await using temp = await tempDirectory();
  const before = isRoot ? ["setpriv", "--bounding-set=-sys_admin"] : [];
  await using store = await testStore();
  await writeFile(`${temp.path}/base.tar`, base);
  const imported = await store.run(["layers", "import", `${temp.path}/base.tar`], { before });
  expect(imported).toEqual({ code: 0, stdout: `${one}\n`, stderr: "" });
  const out = `${temp.path}/out.tar`;
  expect(await store.run(["layers", "tar", one, "-o", out], { before })).toMatchObject({ code: 0, stderr: "" });
  expect((await readFile(out)).equals(base)).toBe(true);
});

test("nothing on standard input is a program before it that has failed, and no layer", async () => {
  await using store = await testStore();
  expect(await store.run(["layers", "import", "-"], { input: Buffer.alloc(0) })).toMatchObject({
    code: 5,
    stderr: expect.stringContaining("layer of standard input: no bytes"),
  });
  expect(await store.json("layers", "ls")).toMatchObject({ layers: [] });
});
