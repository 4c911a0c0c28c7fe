import { execFileSync, spawnSync } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  openSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { packLayer } from "@varve/archive";
import { describe, expect, test } from "vitest";
import { entriesOf, pack } from "./pack.ts";
import { directory } from "./pair.ts";
import { apply, isRoot, Sandbox } from "./sandbox.ts";
import { readTree } from "./tree.ts";

const kibi = 1024;
const mebi = 1024 * kibi;

/** A file of a size with a few bytes at some offsets, and holes or zeros in between. */
function write(path: string, size: number, offsets: readonly number[], holes = true): void {
  const fd = openSync(path, "wx");
  if (holes) ftruncateSync(fd, size);
  else writeFileSync(fd, Buffer.alloc(size));
  for (const offset of offsets) writeSync(fd, `data at ${offset}`, offset);
  closeSync(fd);
  utimesSync(path, 1, 1);
}

/** Files with zeros at the start, in the middle, at the end, everywhere; and some that have none worth a word. */
function fill(root: string, holes: boolean): void {
  directory(join(root, "d".repeat(120)), () =>
    write(join(root, "d".repeat(120), "middle"), mebi, [0, mebi - 20], holes),
  );
  write(join(root, "all"), mebi, [], holes);
  write(join(root, "end"), mebi + 7, [3], holes);
  write(join(root, "start-\u00e9"), mebi + 7, [mebi], holes);
  write(join(root, "three"), 3 * mebi, [100, 64 * kibi, mebi, 2 * mebi], holes);
  write(join(root, "few"), 100 * kibi, [60 * kibi], holes);
  write(join(root, "small"), 60 * kibi, [], holes);
  write(join(root, "dense"), 130 * kibi, [10, 70 * kibi, 129 * kibi], holes);
  utimesSync(root, 1, 1);
}

describe("long runs of zeros", () => {
  test("are left out if asked for, and the tree is the same", () => {
    using box = new Sandbox();
    const [upper, applied] = [box.directory(), box.directory()];
    fill(upper, true);
    const { layer, summary } = pack({ upper }, { sparse: true });
    expect(summary.bytes).toBe(layer.length);
    expect(layer.length).toBeLessThan(mebi);
    const sparse = entriesOf({ upper }, { sparse: true }).filter((entry) => entry.sparse);
    expect(sparse.map(({ name, size }) => `${name.toString("latin1").split("/").at(-1)} ${size}`)).toEqual([
      `all ${mebi}`,
      `middle ${mebi}`,
      `end ${mebi + 7}`,
      `start-\u00c3\u00a9 ${mebi + 15}`,
      `three ${3 * mebi}`,
    ]);
    apply(layer, applied);
    expect(readTree(applied)).toEqual(readTree(upper));
    expect(pack({ upper: applied }, { sparse: true }).layer.equals(layer)).toBe(true);
  });

  test("are written if not, and give the same layer whether they are holes or not, both ways", () => {
    using box = new Sandbox();
    const [holes, zeros] = [box.directory(), box.directory()];
    fill(holes, true);
    fill(zeros, false);
    expect(statSync(join(holes, "all")).blocks).toBeLessThan(statSync(join(zeros, "all")).blocks);
    for (const sparse of [false, true]) {
      const layer = pack({ upper: holes }, { sparse, blockSize: 1000 }).layer;
      expect(layer.equals(pack({ upper: zeros }, { sparse }).layer)).toBe(true);
    }
    expect(entriesOf({ upper: holes }).some((entry) => entry.sparse)).toBe(false);
  });

  test("are not read where the filesystem has holes, and may make sizes beyond what ustar can say", () => {
    using box = new Sandbox();
    const upper = box.directory();
    const size = 900 * kibi * mebi;
    write(join(upper, "large"), size, [size - 100]);
    const { layer } = pack({ upper }, { sparse: true });
    expect(layer.length).toBeLessThan(80 * kibi);
    const applied = box.directory();
    apply(layer, applied);
    expect(statSync(join(applied, "large"))).toMatchObject({ size, mtimeMs: 1000 });
    expect(statSync(join(applied, "large")).blocks).toBeLessThan(1000);
  });

  test("are written after all where they are short and very many, so that the map stays small", () => {
    using box = new Sandbox();
    const upper = box.directory();
    const islands = 4100;
    const size = (islands + 8000) * 128 * kibi;
    write(
      join(upper, "f"),
      size,
      Array.from({ length: islands }, (_, at) => at * 128 * kibi),
    );
    let bytes = 0;
    let start = Buffer.alloc(0);
    let checks = 0;
    const options = { sparse: true, check: () => void (checks += 1) };
    for (const block of packLayer({ upper }, options)) {
      if (bytes === 0) start = Buffer.from(block);
      bytes += block.length;
    }
    expect(start.indexOf(`GNU.sparse.realsize=${size}`)).toBeGreaterThan(0);
    expect(bytes - islands * 128 * kibi).toBeGreaterThan(-100 * kibi);
    expect(bytes - islands * 128 * kibi).toBeLessThan(300 * kibi);
    // It can be stopped while it looks for them.
    expect(checks).toBeGreaterThan(islands);
  });

  test("are an error where the file ends early", () => {
    using box = new Sandbox();
    const upper = box.directory();
    write(join(upper, "f"), mebi, [0, 900 * kibi], false);
    let calls = 0;
    const check = (): void => {
      calls += 1;
      if (calls === 6) truncateSync(join(upper, "f"), 100);
    };
    expect(() => pack({ upper }, { sparse: true, check })).toThrowError(
      'tree: entry "f": became shorter while the trees were read',
    );
  });
});

const tools: readonly (readonly [string, string, (to: string) => readonly string[]])[] = [
  ["GNU tar", "tar", (to) => ["--xattrs", "-xpf", "-", "-C", to]],
  ["bsdtar", "bsdtar", (to) => ["-xpf", "-", "-C", to]],
  [
    "Python",
    "python3",
    (to) => [
      "-c",
      `import sys, tarfile; tarfile.open(fileobj=sys.stdin.buffer, mode="r|").extractall(${JSON.stringify(to)}, filter="tar")`,
    ],
  ],
];

function umoci(...args: readonly string[]): void {
  execFileSync("umoci", args, { stdio: "pipe" });
}

const hasUmoci = spawnSync("umoci", ["--version"]).status === 0;

describe("what is left out", () => {
  // Go's archive/tar.
  test.skipIf(!isRoot || !hasUmoci)("is put back by umoci (needs it, and root)", () => {
    using box = new Sandbox();
    const [upper, layout, bundle] = [box.directory(), join(box.path, "layout"), join(box.path, "bundle")];
    fill(upper, true);
    writeFileSync(join(box.path, "layer.tar"), pack({ upper }, { sparse: true }).layer);
    umoci("init", "--layout", layout);
    umoci("new", "--image", `${layout}:x`);
    umoci("raw", "add-layer", "--image", `${layout}:x`, join(box.path, "layer.tar"));
    umoci("unpack", "--image", `${layout}:x`, bundle);
    expect(readTree(join(bundle, "rootfs"))).toEqual(readTree(upper));
  });

  test.each(tools)("is put back by %s", (_name, command, args) => {
    using box = new Sandbox();
    const [upper, applied] = [box.directory(), box.directory()];
    fill(upper, true);
    const { stderr, status, error } = spawnSync(command, [...args(applied)], {
      input: pack({ upper }, { sparse: true }).layer,
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C.UTF-8" },
    });
    expect({ stderr, status, error }).toEqual({ stderr: "", status: 0, error: undefined });
    const without = { without: ["owner", "root"] } as const;
    expect(readTree(applied, without)).toEqual(readTree(upper, without));
  });
});
