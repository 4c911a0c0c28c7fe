import { once } from "node:events";
import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import type { SpawnSyncReturns } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { ended, main, parsed, start, varve } from "./command.ts";
import { layerScene, run, tree } from "./layer-scene.ts";
import type { LayerScene } from "./layer-scene.ts";

const isRoot = process.geteuid?.() === 0;

/** Applies a layer to a copy of the lower tree, and tells what that looks like then. */
async function applied(scene: LayerScene, layer: string): Promise<string> {
  const target = await scene.directory(`target${Math.random()}`);
  await run("cp", ["-a", `${scene.lower}/.`, target]);
  expect(await scene.varve(["layer", "apply", layer, target])).toMatchObject({ code: 0, stderr: "" });
  return tree(target);
}

/** Runs `varve layer` with a terminal. */
function onTerminal(...args: readonly string[]): SpawnSyncReturns<string> {
  const command = [process.execPath, main, "layer", ...args].map((word) => `'${word}'`).join(" ");
  return spawnSync("script", ["--quiet", "--return", "--command", command, "/dev/null"], { encoding: "latin1" });
}

test("a layer that diff writes, applied on the lower directory, gives the upper one", async () => {
  await using scene = await layerScene();
  const layer = scene.path("layer.tar");
  const { code, stdout, stderr } = await scene.varve(["layer", "diff", scene.lower, scene.upper, "-o", layer]);
  const digest = digestOf(await readFile(layer));
  expect({ code, stderr, stdout }).toEqual({
    code: 0,
    stderr: "",
    stdout: expect.stringMatching(
      new RegExp(`^diff ID  ${digest}\ndigest   ${digest}\nentries  \\d+\nsize     \\S+ kB\n$`),
    ),
  });
  await expect(applied(scene, layer)).resolves.toBe(await tree(scene.upper));
  const names = await scene.varve(["layer", "ls", "-q", layer]);
  expect(names.stdout).toContain("etc/.wh.linked\n");
  expect(names.stdout).not.toMatch(/var|group/);
});

test("the tar goes to standard output, too, and is the same each time", async () => {
  await using scene = await layerScene();
  await scene.varve(["layer", "diff", scene.lower, scene.upper, "--output", scene.path("1.tar")]);
  const { stdout } = await run(process.execPath, [main, "layer", "diff", scene.lower, scene.upper], {
    encoding: "buffer",
    maxBuffer: 1e9,
  });
  expect(stdout.equals(await readFile(scene.path("1.tar")))).toBe(true);
});

test.each([
  ["gzip", gunzipSync],
  ["zstd", zstdDecompressSync],
])("a layer is compressed by %s if that is asked for, and digest and diff ID are told", async (kind, decompress) => {
  await using scene = await layerScene();
  const sizes: number[] = [];
  await writeFile(`${scene.upper}/large`, createHash("sha256").update("x").digest("hex").repeat(10_000));
  for (const level of ["1", "9"]) {
    const output = scene.path(`layer-${level}`);
    const args = ["layer", "diff", scene.lower, scene.upper, "--compression", kind, "--level", level, "-o", output];
    const outcome = await scene.varve([...args, "--json"]);
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    const bytes = await readFile(output);
    const tar = decompress(bytes);
    expect(parsed(outcome)).toEqual({
      diffId: digestOf(tar),
      digest: digestOf(bytes),
      mediaType: `application/vnd.oci.image.layer.v1.tar+${kind}`,
      size: bytes.length,
      tarSize: tar.length,
      entries: expect.any(Number),
      output,
    });
    await expect(applied(scene, output)).resolves.toBe(await tree(scene.upper));
    sizes.push(bytes.length);
  }
  expect(sizes[0]).toBeGreaterThan(sizes[1] ?? 0);
});

test("--level that the compression does not have ends with 2, and leaves no file", async () => {
  await using scene = await layerScene();
  const output = scene.path("layer");
  const args = ["layer", "diff", scene.lower, scene.upper, "--compression", "gzip", "--level", "17", "-o", output];
  expect(await scene.varve(args)).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("17") });
  await expect(readdir(scene.path("."))).resolves.toEqual(["lower", "upper"]);
});

test("--all writes the whole directory", async () => {
  await using scene = await layerScene();
  const layer = scene.path("layer.tar");
  expect(await scene.varve(["layer", "diff", "--all", scene.upper, "-o", layer])).toMatchObject({ code: 0 });
  const target = await scene.directory("target");
  await scene.varve(["layer", "apply", layer, target]);
  const ofRoot = / \.? ?$/;
  const withoutRoot = (lines: string): string[] => lines.split("\n").filter((line) => !ofRoot.test(line));
  expect(withoutRoot(await tree(target))).toEqual(withoutRoot(await tree(scene.upper)));
});

test("no time is later than SOURCE_DATE_EPOCH or --source-date-epoch, and a malformed one is refused", async () => {
  await using scene = await layerScene();
  const times = async (args: readonly string[], env: NodeJS.ProcessEnv): Promise<Set<unknown>> => {
    const layer = scene.path("layer.tar");
    const made = await scene.varve(["layer", "diff", "--all", scene.upper, "-o", layer, ...args], { env });
    expect(made).toMatchObject({ code: 0, stderr: "" });
    const listed = parsed(await scene.varve(["layer", "ls", "--json", layer]));
    const { entries } = listed as { readonly entries: readonly { readonly mtime: string }[] };
    return new Set(entries.map(({ mtime }) => mtime));
  };
  const epoch = { SOURCE_DATE_EPOCH: "1000000000" };
  await expect(times([], epoch)).resolves.toEqual(new Set(["2001-09-09T01:46:40Z"]));
  // What the command line says goes before the environment.
  await expect(times(["--source-date-epoch", "0"], epoch)).resolves.toEqual(new Set(["1970-01-01T00:00:00Z"]));
  const env = { SOURCE_DATE_EPOCH: "yesterday" };
  expect(await scene.varve(["layer", "diff", scene.lower, scene.upper], { env })).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining("SOURCE_DATE_EPOCH"),
  });
});

test.each([
  ["missing", "upper", 3, "missing: no such directory"],
  ["lower", "missing", 3, "missing: no such directory"],
  ["lower/etc/passwd", "upper", 2, "passwd: not a directory"],
  ["lower", "upper/etc/passwd", 2, "passwd: not a directory"],
])("diff of %s and %s ends with %i: %s", async (lower, upper, code, message) => {
  await using scene = await layerScene();
  const output = scene.path("layer.tar");
  const outcome = await scene.varve(["layer", "diff", scene.path(lower), scene.path(upper), "-o", output]);
  expect(outcome).toMatchObject({ code, stdout: "" });
  expect(outcome.stderr).toMatch(new RegExp(`^varve: directory [^\n]*${message}[^\n]*\n$`));
  await expect(readdir(scene.path("."))).resolves.toEqual(["lower", "upper"]);
});

test("a name that no layer can say ends with 5 and is named; an older file stays, and no other is left", async () => {
  await using scene = await layerScene();
  await writeFile(`${scene.upper}/opt/.wh.x`, "");
  await writeFile(scene.path("layer.tar"), "older");
  const outcome = await scene.varve(["layer", "diff", scene.lower, scene.upper, "-o", scene.path("layer.tar")]);
  expect(outcome).toMatchObject({
    code: 5,
    stdout: "",
    stderr: expect.stringMatching(/^varve: [^\n]*opt\/\.wh\.x[^\n]*\n$/),
  });
  await expect(readFile(scene.path("layer.tar"), "utf8")).resolves.toBe("older");
  expect((await readdir(scene.path("."))).toSorted()).toEqual(["layer.tar", "lower", "upper"]);
});

test("a file that cannot be written to ends diff in one line", async () => {
  await using scene = await layerScene();
  const args = ["layer", "diff", scene.lower, scene.upper, "-o"];
  expect(await scene.varve([...args, scene.path("no/layer.tar")])).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(/^varve: file [^\n]*no\/layer\.tar: no such directory[^\n]*\n$/),
  });
  expect(await scene.varve([...args, "/dev/full"])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^varve: [^\n]*ENOSPC[^\n]*\n$/),
  });
});

test("a reader that goes away ends diff without a word", async () => {
  await using scene = await layerScene();
  // More than a pipe holds.
  await writeFile(`${scene.upper}/large`, Buffer.alloc(8 * 1024 * 1024, "text"));
  for (const args of [
    ["diff", scene.lower, scene.upper],
    ["diff", "--compression", "gzip", "--level", "1", scene.lower, scene.upper],
  ]) {
    const child = start(["layer", ...args]);
    child.stdout.once("data", () => child.stdout.destroy());
    const [stderr] = await Promise.all([text(child.stderr), ended(child)]);
    expect({ code: child.exitCode, stderr }).toEqual({ code: 0, stderr: "" });
  }
});

test("a signal ends diff, even when nobody reads what it writes", async () => {
  await using scene = await layerScene();
  await writeFile(`${scene.upper}/large`, Buffer.alloc(8 * 1024 * 1024, "text"));
  const child = start(["layer", "diff", scene.lower, scene.upper]);
  await once(child.stdout, "readable");
  child.kill("SIGTERM");
  const [stderr] = await Promise.all([text(child.stderr), once(child, "exit")]);
  expect({ code: child.exitCode, stderr }).toEqual({ code: 130, stderr: "varve: interrupted by SIGTERM\n" });
});

test("bytes are not written to a terminal that nobody has named", async () => {
  await using scene = await layerScene();
  for (const args of [
    ["diff", scene.lower, scene.upper],
    ["join", "a", "b"],
  ]) {
    expect(onTerminal(...args)).toMatchObject({ status: 2, stdout: expect.stringContaining("nothing for a terminal") });
  }
  expect(onTerminal("diff", scene.lower, scene.upper, "-o", "-")).toMatchObject({
    status: 0,
    stdout: expect.stringContaining("ustar"),
  });
});

test.skipIf(!isRoot).for([
  ["--overlay", "trusted"],
  ["--userxattr", "user"],
] as const)(
  "%s takes the upper directory of an overlay with markers in %s.overlay (skipped: only root may make those)",
  async ([option, prefix]) => {
    await using scene = await layerScene();
    const upper = await scene.directory("changes");
    await run("sh", ["-c", "mkdir etc opt; mknod etc/linked c 0 0; echo new > opt/new; echo x > added"], {
      cwd: upper,
    });
    await run("setfattr", ["-n", `${prefix}.overlay.opaque`, "-v", "y", `${upper}/opt`]);
    const layer = scene.path("layer.tar");
    const made = await scene.varve(["layer", "diff", option, scene.lower, upper, "-o", layer]);
    expect(made).toMatchObject({ code: 0, stderr: "" });
    const target = await scene.directory("target");
    await run("cp", ["-a", `${scene.lower}/.`, target]);
    await scene.varve(["layer", "apply", layer, target]);
    expect((await readdir(target)).toSorted()).toEqual(["added", "etc", "opt", "var"]);
    expect((await readdir(`${target}/etc`)).toSorted()).toEqual(["group", "passwd"]);
    await expect(readdir(`${target}/opt`)).resolves.toEqual(["new"]);
    const { stdout } = await varve(["layer", "ls", "-q", layer]);
    expect(stdout).not.toMatch(/group|passwd|var/);
  },
);
