import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join as joinPath } from "node:path";
import { joinTar, treeFiles } from "@varve/archive";
import { array, assert, asyncProperty, constantFrom, integer, option, record, uint8Array } from "fast-check";
import { pack } from "tar-stream";
import { describe, expect, test } from "vitest";
import { apply, isRoot, Sandbox } from "./sandbox.ts";
import { inPieces, join, split } from "./split-archive.ts";
import { dir, entry, extended, file, hardlink, type Spec, symlink } from "./tar-builder.ts";

const hasBsdtar = found("bsdtar");

/** A tree with names, links and contents of many kinds. */
function makeTree(root: string, longNames: boolean): void {
  mkdirSync(joinPath(root, "etc/sub"), { recursive: true });
  writeFileSync(joinPath(root, "etc/hosts"), "127.0.0.1 localhost");
  linkSync(joinPath(root, "etc/hosts"), joinPath(root, "etc/sub/hosts.allow"));
  symlinkSync("../nowhere", joinPath(root, "etc/link"));
  writeFileSync(
    Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x6e, 0xff, 0xfe, 0x0a])]),
    "name that is no UTF-8",
  );
  writeFileSync(joinPath(root, "empty"), "");
  writeFileSync(joinPath(root, "block"), Buffer.alloc(512, "b"));
  writeFileSync(joinPath(root, "large"), Buffer.alloc(3_000_001, "varve"));
  writeFileSync(joinPath(root, "sparse"), "at the start");
  truncateSync(joinPath(root, "sparse"), 5_000_000);
  writeFileSync(joinPath(root, "sparse"), "in the middle", { flag: "a" });
  truncateSync(joinPath(root, "sparse"), 6_000_000);
  if (!longNames) return;
  writeFileSync(joinPath(root, "n".repeat(250)), "long name");
  mkdirSync(joinPath(root, `${"d".repeat(120)}/${"e".repeat(120)}`), { recursive: true });
  symlinkSync("t".repeat(300), joinPath(root, "long link"));
}

/** Unpacks an archive and answers whether it comes back bit for bit. */
async function comesBack(archive: Buffer, sizes?: readonly number[]): Promise<boolean> {
  using box = new Sandbox();
  const root = box.directory();
  apply(archive, root, { ownership: isRoot ? "keep" : "skip" });
  const files = treeFiles(root);
  try {
    return (await join(split(archive, {}, sizes).bytes, files)).equals(archive);
  } finally {
    files.close();
  }
}

// C-TS.1, G-64
describe("an archive comes back bit for bit", () => {
  const formats: readonly (readonly string[])[] = [
    ["--format=v7"],
    ["--format=oldgnu"],
    ["--format=gnu"],
    ["--format=ustar"],
    ["--format=posix"],
    ["--format=posix", "--xattrs"],
    ["--format=gnu", "--sparse"],
    ["--format=posix", "--sparse"],
    ["--format=posix", "--sparse", "--sparse-version=0.0"],
    ["--format=posix", "--sparse", "--sparse-version=0.1"],
    ["--format=gnu", "--blocking-factor=200"],
    ["--format=gnu", "--sort=name", "--transform=s,^./,,"],
  ];
  test.each(formats.map((options) => [options.join(" "), options] as const))(
    "of GNU tar with %s",
    async (_, options) => {
      using box = new Sandbox();
      const tree = box.directory();
      makeTree(tree, !options.includes("--format=v7") && !options.includes("--format=ustar"));
      expect(await comesBack(execFileSync("tar", ["-c", ...options, "-C", tree, "."], { maxBuffer: 1 << 27 }))).toBe(
        true,
      );
    },
  );

  test.skipIf(!hasBsdtar).each(["gnutar", "pax", "ustar", "v7"])("of bsdtar as %s (needs bsdtar)", async (format) => {
    using box = new Sandbox();
    const tree = box.directory();
    makeTree(tree, format === "gnutar" || format === "pax");
    const options = { maxBuffer: 1 << 27, env: { ...process.env, LC_ALL: "C.UTF-8" } };
    expect(await comesBack(execFileSync("bsdtar", ["-c", `--format=${format}`, "-C", tree, "."], options))).toBe(true);
  });

  test("of tar-stream", async () => {
    const packer = pack();
    packer.entry({ name: "d", type: "directory" });
    packer.entry({ name: `d/${"é".repeat(120)}` }, "long and not in ASCII");
    packer.entry({ name: "d/link", type: "symlink", linkname: "x".repeat(150) });
    packer.entry({ name: "d/extra", pax: { "SCHILY.xattr.user.a": "1", comment: "c" } }, "with an attribute");
    packer.finalize();
    const chunks: Uint8Array[] = [];
    for await (const chunk of packer) if (chunk instanceof Uint8Array) chunks.push(chunk);
    expect(await comesBack(Buffer.concat(chunks))).toBe(true);
  });

  test("with several of everything, junk behind it, and no end mark at all", async () => {
    const body = Buffer.concat([
      ...[dir("d"), file("d/a", "1", { pax: { mtime: "1.5" } })].map((spec) => entry(spec)),
      extended("g", [["comment", "global"]]),
      ...[file("d/b", "2".repeat(513)), hardlink("d/a", "h"), symlink("h", "s"), file("d/empty")].map((spec) =>
        entry(spec),
      ),
      extended("g", [["comment", "again"]]),
    ]);
    for (const tail of [
      Buffer.alloc(0),
      Buffer.alloc(512),
      Buffer.alloc(1024),
      Buffer.alloc(1024, "\0").fill("j", 1024),
    ]) {
      // eslint-disable-next-line no-await-in-loop
      expect(await comesBack(Buffer.concat([body, tail]))).toBe(true);
    }
    expect(await comesBack(Buffer.concat([body, Buffer.alloc(1024), Buffer.from("junk"), body]))).toBe(true);
  });

  test("of any entries, in blocks of any size", async () => {
    const names = constantFrom("a", "b/c", "b/d", "e/", "f".repeat(120), "\u{1F600}", "g/h/i");
    const one = record({
      name: names,
      type: constantFrom("0", "0", "0", "5", "2", "g", "S"),
      content: uint8Array({ maxLength: 2000 }),
      comment: option(constantFrom("x", "y\n", "é".repeat(300))),
    });
    const property = asyncProperty(
      array(one, { maxLength: 12 }),
      array(integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 5 }),
      uint8Array({ maxLength: 700 }),
      async (entries, sizes, tail) => {
        const parts = entries.map(({ name, type, content, comment }, index) => {
          if (type === "g") return extended("g", [["comment", comment ?? ""]]);
          const spec: Spec = {
            name: `${index}-${name.replace(/\/$/, "")}${type === "5" ? "/" : ""}`,
            pax: comment === null ? {} : { comment },
          };
          if (type === "5") return entry({ ...spec, type });
          if (type === "2") return entry({ ...spec, type, link: "target" });
          return type === "S" ? oldSparse(spec, content) : entry({ ...spec, content: Buffer.from(content) });
        });
        const archive = Buffer.concat([...parts, Buffer.alloc(1024), tail]);
        return comesBack(archive, sizes);
      },
    );
    await assert(property, { numRuns: 60 });
  });
});

describe("records", () => {
  test("stay short: neither a stretch of junk nor a content kept in them is collected", async () => {
    const archive = Buffer.concat([
      entry(file("a", Buffer.alloc(9_000_000, 1))),
      Buffer.alloc(1024),
      Buffer.alloc(9_000_000, 2),
    ]);
    using box = new Sandbox();
    const root = box.directory();
    apply(archive, root, { ownership: isRoot ? "keep" : "skip" });
    const { bytes } = split(archive, { inline: () => true }, [100_000]);
    const files = treeFiles(root);
    let longest = 0;
    for await (const block of joinTar(inPieces(bytes, 100_000), files, { recordBytes: 1_400_000 }))
      longest = Math.max(longest, block.length);
    files.close();
    expect(longest).toBe(256 * 1024);
  });
});

const field = (value: number): Buffer => Buffer.from(`${value.toString(8).padStart(11, "0")}\0`);

/** A sparse file in the old GNU format: one piece of content behind a hole of 4 KiB. */
function oldSparse(spec: Spec, content: Uint8Array): Buffer {
  const raw: Spec["raw"] = [
    [386, Buffer.concat([field(4096), field(content.length)])],
    [483, field(4096 + content.length)],
  ];
  return entry({ ...spec, type: "S", magic: "ustar  \0", raw, content: Buffer.from(content) });
}

function found(tool: string): boolean {
  try {
    execFileSync(tool, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
