import { readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { parsed } from "./command.ts";
import { layerScene, run } from "./layer-scene.ts";
import { testStore } from "./store.ts";

const isRoot = process.geteuid?.() === 0;

/** One line that begins so and says why. */
function complaint(pattern: RegExp): unknown {
  return expect.stringMatching(new RegExp(`^varve: [^\\n]*${pattern.source}[^\\n]*\\n$`));
}

test("layer ls shows mode, owner, size, time, names and links as the archive has them, and marks whiteouts", async () => {
  await using scene = await layerScene();
  const root = await scene.directory("layer");
  await writeFile(`${root}/file`, "12345");
  await run("sh", ["-c", "chmod 4755 file; ln file hard; ln -s file soft; mkdir d; touch .wh.gone d/.wh..wh..opq"], {
    cwd: root,
  });
  const names = ["file", "hard", "soft", "d", ".wh.gone", "d/.wh..wh..opq"];
  const tar = scene.path("layer.tar");
  const owner = ["--owner=7", "--group=8", "--mtime=@1000000000", "--format=pax", "--no-recursion"];
  await run("tar", [...owner, "-C", root, "-cf", tar, ...names]);
  const { code, stdout, stderr } = await scene.varve(["layer", "ls", tar]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const time = "2001-09-09T01:46:40Z";
  expect(stdout.split("\n")).toEqual([
    expect.stringMatching(/^MODE +OWNER +SIZE +TIME +NAME$/),
    expect.stringMatching(new RegExp(`^-rwsr-xr-x +7:8 +5 B +${time} +file$`)),
    expect.stringMatching(/^hrwsr-xr-x +7:8 +0 B .* hard link to file$/),
    expect.stringMatching(/^l.* soft -> file$/),
    expect.stringMatching(/^d.* d\/$/),
    expect.stringMatching(/ \.wh\.gone {2}\(removes it below\)$/),
    expect.stringMatching(/ d\/\.wh\.\.wh\.\.opq {2}\(hides the directory below\)$/),
    "",
  ]);
  expect(await scene.varve(["layer", "ls", "-q", tar])).toMatchObject({
    code: 0,
    stdout: "file\nhard\nsoft\nd/\n.wh.gone\nd/.wh..wh..opq\n",
  });
});

test("layer ls --json prints one object: the entries, the diff ID and the bytes of the tar", async () => {
  await using scene = await layerScene();
  const tar = scene.path("layer.tar");
  await run("tar", [
    "--format=pax",
    "--mtime=@1.5",
    "-C",
    scene.upper,
    "--owner=7",
    "--group=8",
    "-cf",
    tar,
    "opt/new",
  ]);
  const bytes = await readFile(tar);
  const outcome = await scene.varve(["layer", "ls", "--json", "-"], { input: gzipSync(bytes) });
  expect(outcome).toMatchObject({ code: 0, stderr: "" });
  expect(parsed(outcome)).toEqual({
    entries: [
      {
        name: "opt/new",
        type: "file",
        mode: "4755",
        uid: 7,
        gid: 8,
        size: 3,
        mtime: "1970-01-01T00:00:01.500000000Z",
      },
    ],
    diffId: digestOf(bytes),
    size: bytes.length,
  });
});

test("names that are no text, or that a terminal would act on, are escaped, and whole in the JSON", async () => {
  await using scene = await layerScene();
  const tar = scene.path("layer.tar");
  await run("tar", ["--format=gnu", "-C", scene.upper, "-cf", tar, "."]);
  const names = await scene.varve(["layer", "ls", "-q", tar]);
  expect(names.stdout.split("\n")).toContain(String.raw`./odd\xff`);
  expect(names.stdout.split("\n")).toContain(String.raw`./odd\x1b[2J`);
  const { entries } = parsed(await scene.varve(["layer", "ls", "--json", tar])) as { readonly entries: unknown[] };
  expect(entries).toContainEqual(
    expect.objectContaining({
      name: String.raw`./odd\xff`,
      nameBytes: Buffer.from("./odd\u00FF", "latin1").toString("base64"),
    }),
  );
  expect(entries).toContainEqual(expect.objectContaining({ name: "./odd\u001B[2J" }));
});

test("a layer may be named by the digest of a blob that is stored", async () => {
  await using store = await testStore();
  const { layers } = await store.pull("app", [{ "etc/file": "text" }]);
  const [{ diffId, digest } = { diffId: "", digest: "" }] = layers;
  expect(await store.run(["layer", "ls", "-q", digest])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("etc/file\n"),
  });
  await using scene = await layerScene();
  const target = await scene.directory("target");
  await expect(store.json("layer", "apply", digest, target)).resolves.toMatchObject({ layers: [{ diffId }] });
  await expect(readFile(`${target}/etc/file`, "utf8")).resolves.toBe("text");
  const missing = digestOf("missing");
  expect(await store.run(["layer", "ls", missing])).toMatchObject({ code: 3, stderr: complaint(/sha256:.*not found/) });
});

test.each([
  ["a file that is missing", "missing", 3, /layer \S*missing: no such file/],
  ["a directory", "lower", 2, /layer \S*lower: is a directory/],
  ["what is no tar", "text", 5, /layer \S*text: at byte \d+: /],
  ["a gzip that was cut off", "cut.gz", 5, /layer \S*cut\.gz: /],
  ["an empty file that says it is one", "empty", 0, undefined],
])("%s is told from other failures by its exit code, in one line", async (_what, name, code, pattern) => {
  await using scene = await layerScene();
  await writeFile(scene.path("text"), "This is no tar, and longer than a block of it. ".repeat(30));
  await run("tar", ["-C", scene.lower, "-cf", scene.path("lower.tar"), "."]);
  const zipped = gzipSync(await readFile(scene.path("lower.tar")));
  await writeFile(scene.path("cut.gz"), zipped.subarray(0, zipped.length - 20));
  await writeFile(scene.path("empty"), Buffer.alloc(1024));
  const target = await scene.directory("target");
  const stderr = pattern === undefined ? "" : complaint(pattern);
  expect(await scene.varve(["layer", "ls", "-q", scene.path(name)])).toMatchObject({ code, stderr });
  expect(await scene.varve(["layer", "apply", scene.path(name), target])).toMatchObject({ code, stderr });
  expect(await scene.varve(["layer", "split", scene.path(name), scene.path("r.gz")])).toMatchObject({ code, stderr });
});

test("an entry that would leave the directory ends apply with 5 and is named, escaped, with its layer", async () => {
  await using scene = await layerScene();
  const inner = await scene.directory("inner");
  await writeFile(scene.path("canary"), "canary");
  const tar = scene.path("bad\u001B[2J.tar");
  await run("tar", ["-P", "-C", inner, "-cf", tar, "--transform", "s,.*,../../esc\u001Baped,", "../canary"]);
  const target = await scene.directory("target");
  const { code, stderr } = await scene.varve(["layer", "apply", tar, target]);
  expect(code).toBe(5);
  expect(stderr).toMatch(/^varve: layer [^\n]*bad\?\[2J\.tar: entry "\.\.\/\.\.\/esc\\x1baped"[^\n]*\n$/);
});

test("apply says for each layer how many entries and bytes it had, and refuses what goes beyond a limit", async () => {
  await using scene = await layerScene();
  const tar = scene.path("lower.tar");
  await run("tar", ["--sort=name", "-C", scene.lower, "-cf", tar, "."]);
  const bytes = await readFile(tar);
  const target = await scene.directory("target");
  const outcome = await scene.varve(["layer", "apply", tar, target]);
  expect(outcome).toEqual({ code: 0, stderr: "", stdout: `${digestOf(bytes)} 11 entries 10.2 kB\n` });
  const args = ["layer", "apply", "--limit", "entries=1k", "--limit", "entries=10", tar, await scene.directory("t2")];
  expect(await scene.varve(args)).toMatchObject({
    code: 1,
    stdout: "",
    stderr: complaint(/layer \S*lower\.tar: .*entries/),
  });
  const bomb = scene.path("lower.tar.gz");
  await writeFile(bomb, gzipSync(bytes));
  const bombArgs = ["layer", "apply", "--limit", "maxBytes=5kB", bomb, await scene.directory("t3")];
  expect(await scene.varve(bombArgs)).toMatchObject({
    code: 1,
    stderr: complaint(/layer \S*lower\.tar\.gz: .*maxBytes/),
  });
});

test.skipIf(!isRoot)(
  "apply maps ids, skips owners or records them, as it is told (skipped: only root may give files away)",
  async () => {
    await using scene = await layerScene();
    const tar = scene.path("owned.tar");
    await run("tar", ["--owner=5", "--group=6", "-C", scene.lower, "-cf", tar, "var/same"]);
    const owner = async (...options: readonly string[]): Promise<string> => {
      const target = await scene.directory(`t${Math.random()}`);
      expect(await scene.varve(["layer", "apply", ...options, tar, target])).toMatchObject({ code: 0, stderr: "" });
      return (await run("stat", ["-c", "%u:%g", `${target}/var/same`])).stdout.trim();
    };
    await expect(owner()).resolves.toBe("5:6");
    await expect(owner("--uid-map", "0:1000:3", "--uid-map", "3:2000:10")).resolves.toBe("2002:2003");
    await expect(owner("--uid-map", "0:100:9", "--gid-map", "0:200:9")).resolves.toBe("105:206");
    await expect(owner("--ownership", "skip")).resolves.toBe("0:0");
    await expect(owner("--ownership", "record")).resolves.toBe("0:0");
  },
);

test.each([
  [["apply", "--ownership", "none", "a", "b"], "Allowed choices are keep, skip, record"],
  [["apply", "--limit", "files=1", "a", "b"], "Not NAME=VALUE with one of entries, bytes"],
  [["apply", "--limit", "bytes=lots", "a", "b"], "Not a number such as"],
  [["apply", "--uid-map", "0:1", "-", "/"], "must be container:host:size"],
  [["diff", "a"], "needs the lower and the upper directory"],
  [["diff", "--all", "a", "b"], "needs one directory"],
  [["diff", "--all", "--overlay", "a"], "only one of them"],
  [["diff", "--json", "a", "b"], "say --output FILE"],
  [["diff", "--level", "3", "a", "b"], "--level needs --compression"],
  [["diff", "--level", "x", "a", "b"], "Not a whole number"],
  [["diff", "--compression", "xz", "a", "b"], "Allowed choices are none, gzip, zstd"],
  [["diff", "--source-date-epoch", "now", "a", "b"], "Not a number of seconds since 1970"],
  [["ls"], "missing required argument"],
  [["split", "a"], "missing required argument"],
  [["split", "--json", "a", "-"], "say --output FILE"],
  [["join", "--diff-id", "sha256:1", "a", "b"], "wrong number of hex digits"],
])("a wrong command line ends with 2: varve layer %j", async (args, message) => {
  await using scene = await layerScene();
  expect(await scene.varve(["layer", ...args])).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining(message),
  });
});

test("contents that later entries replace are kept in the records if split is told where the layer was applied", async () => {
  await using scene = await layerScene();
  const tar = scene.path("twice.tar");
  await run("tar", ["-C", scene.lower, "-cf", tar, "etc/passwd", "var/same"]);
  await run("tar", ["-C", scene.upper, "-rf", tar, "etc/passwd"]);
  const target = await scene.directory("target");
  expect(await scene.varve(["layer", "apply", tar, target])).toMatchObject({ code: 0 });
  const records = scene.path("records.gz");
  expect(await scene.varve(["layer", "split", tar, records])).toMatchObject({
    code: 8,
    stderr: complaint(/layer \S*twice\.tar: 1 file has the name of an earlier one/),
  });
  expect(await scene.varve(["layer", "split", tar, records, target])).toMatchObject({ code: 0, stderr: "" });
  expect(await scene.varve(["layer", "join", records, target, "-o", scene.path("joined.tar")])).toMatchObject({
    code: 0,
  });
  expect((await readFile(scene.path("joined.tar"))).equals(await readFile(tar))).toBe(true);
  expect(await scene.varve(["layer", "split", "-", records, target])).toMatchObject({ code: 2 });
});

test("split and join give the exact tar again, from a compressed layer, too", async () => {
  await using scene = await layerScene();
  const tar = scene.path("layer.tar");
  await run("tar", ["--format=pax", "-C", scene.upper, "-b", "40", "-cf", tar, "."]);
  const bytes = await readFile(tar);
  await writeFile(scene.path("layer.tar.gz"), gzipSync(bytes));
  const target = await scene.directory("target");
  expect(await scene.varve(["layer", "apply", tar, target])).toMatchObject({ code: 0 });
  for (const records of ["records.json.gz", "records.json"]) {
    const split = await scene.varve(["layer", "split", scene.path("layer.tar.gz"), scene.path(records), "--json"]);
    expect(split).toMatchObject({ code: 0, stderr: "" });
    expect(parsed(split)).toMatchObject({ diffId: digestOf(bytes), size: bytes.length, records: scene.path(records) });
    const joined = scene.path("joined.tar");
    const args = ["layer", "join", "--diff-id", digestOf(bytes), scene.path(records), target, "-o", joined];
    expect(await scene.varve(args)).toEqual({ code: 0, stderr: "", stdout: `${digestOf(bytes)} 41.0 kB\n` });
    expect((await readFile(joined)).equals(bytes)).toBe(true);
  }
  expect((await readFile(scene.path("records.json"), "utf8")).split("\n")[0]).toMatch(/^\{"type":2,/);
  // As many bytes as before.
  await writeFile(`${target}/etc/passwd`, "toor\nresu\n");
  const args = ["layer", "join", scene.path("records.json"), target, "-o", scene.path("bad.tar")];
  expect(await scene.varve(args)).toMatchObject({ code: 5, stdout: "", stderr: complaint(/etc\/passwd/) });
  await expect(readFile(scene.path("bad.tar"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("help tells the commands for layers and what they take", async () => {
  await using scene = await layerScene();
  const help = await scene.varve(["layer", "--help"]);
  expect(help).toMatchObject({ code: 0, stderr: "" });
  for (const command of ["apply", "diff", "ls", "split", "join"]) {
    expect(help.stdout).toMatch(new RegExp(`^  ${command}\\b.*\\S`, "m"));
  }
  const apply = await scene.varve(["layer", "apply", "--help"]);
  expect(apply.stdout).toContain("varve layer apply [options] <layer...> <dir>");
  expect(apply.stdout).toMatch(/maxRatio/);
});
