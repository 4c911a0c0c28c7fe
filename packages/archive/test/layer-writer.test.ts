import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { applyTar, createLayerWriter, settleLayer } from "@varve/archive";
import { AT_FDCWD, lgetxattr, llistxattr, lsetxattr, utimensat } from "@varve/syscalls";
import { describe, expect, test } from "vitest";
import { apply, asNobody, isRoot, openDescriptors, Sandbox } from "./sandbox.ts";
import { dir, file, hardlink, type Spec, symlink, tar, whiteout } from "./tar-builder.ts";
import { readTree } from "./tree.ts";

const xattr = (name: string, value: string): Pick<Spec, "pax"> => ({ pax: { [`SCHILY.xattr.${name}`]: value } });
const names = (path: string): string[] => llistxattr(path).map(String).toSorted();
const code = (expected: string): unknown => expect.objectContaining({ code: expected });

describe("applying as anybody", () => {
  const mine = { ownership: "skip", devices: "skip" } as const;

  test("writes files, directories and links, and says what it did", () => {
    using box = new Sandbox();
    const root = box.directory();
    const layer = tar(
      dir("d", { mode: 0o500, mtime: 5 }),
      file("d/f", "content", { mode: 0o600, uid: 99 }),
      symlink("f", "d/l"),
      hardlink("d/f", "h"),
      { name: "c", type: "3", major: 1 },
      whiteout(".wh.x"),
    );
    const result = apply(layer, root, mine);
    expect(result).toEqual({
      entries: 6,
      bytes: 7,
      questions: undefined,
      skipped: { xattrs: 0, devices: 1, owners: 0, filtered: 0 },
    });
    expect(readFileSync(join(root, "h"), "utf8")).toBe("content");
    expect(statSync(join(root, "d"))).toMatchObject({ mtimeMs: 5000, mode: 0o40500 });
    expect(statSync(join(root, "d/f"))).toMatchObject({ uid: process.getuid?.(), nlink: 2 });
    expect(existsSync(join(root, "c"))).toBe(false);
    // Or it could not be cleaned up without root.
    execFileSync("chmod", ["-R", "u+w", root]);
  });

  test("leaves out what the filter does not want, and counts it", () => {
    // U-TAR.14, U-TAR.15
    using box = new Sandbox();
    const root = box.directory();
    const layer = tar(file("yes", "123"), file("no", "12345"), whiteout(".wh.yes"));
    const result = apply(layer, root, { ...mine, filter: (entry) => entry.name.toString() !== "no" });
    expect(result).toMatchObject({ entries: 3, bytes: 8, skipped: { filtered: 1 } });
    expect(readdirSync(root)).toEqual(["yes"]);
  });

  test.each(["./", "/", "a/.."])("gives the root the attributes of its own entry %s", (name) => {
    // U-TAR.2 has containerd ignore them; moby and umoci apply them.
    using box = new Sandbox();
    const root = box.directory();
    apply(tar(dir(name, { mode: 0o700, mtime: 77 }), file("a/b", "x")), root, mine);
    expect(statSync(root, { bigint: true })).toMatchObject({ mode: 0o40700n, mtimeNs: 77_000_000_000n });
  });

  test.each([symlink("./", "/etc"), file(".", "x"), dir("..", { mode: 0o700 }), dir("a/../..", { mode: 0o700 })])(
    "ignores what would put anything but a directory at the root, or goes above it",
    (entry) => {
      using box = new Sandbox();
      const root = box.directory();
      const before = statSync(root, { bigint: true });
      apply(tar(entry), root, mine);
      expect(statSync(root, { bigint: true })).toMatchObject({ mode: before.mode, mtimeNs: before.mtimeNs });
    },
  );

  test("leaves the times of directories that the layer only passes through", () => {
    using box = new Sandbox();
    const root = box.directory();
    mkdirSync(join(root, "a/b"), { recursive: true });
    writeFileSync(join(root, "a/b/gone"), "");
    for (const path of ["a/b", "a"]) {
      utimensat(AT_FDCWD, join(root, path), { mtime: { seconds: 7, nanoseconds: 123_456_789 } }, 0);
    }
    apply(tar(file("a/new", "x"), whiteout("a/b/.wh.gone")), root, mine);
    expect(statSync(join(root, "a"), { bigint: true }).mtimeNs).toBe(7_123_456_789n);
    expect(statSync(join(root, "a/b"), { bigint: true }).mtimeNs).toBe(7_123_456_789n);
  });

  const limited: readonly (readonly [string, object, readonly Spec[]])[] = [
    ["entries", { entries: 2 }, [file("a"), file("b"), file("c")]],
    ["bytes", { bytes: 5 }, [file("a", "123"), file("b", "123")]],
    ["pathBytes", { pathBytes: 10 }, [file("12345678901")]],
    ["pathBytes", { pathBytes: 10 }, [symlink("12345678901", "l")]],
    ["depth", { depth: 3 }, [file("a/b/c/d/e")]],
    ["directories", { directories: 2 }, [dir("a"), dir("b"), dir("c")]],
    ["headerBytes", { headerBytes: 100 }, [file("n".repeat(200))]],
    ["mergedFiles", { mergedFiles: 2 }, [file("a"), file("a"), file("b"), dir("d"), file("d/e"), file("c")]],
    ["xattrs", { xattrs: 1 }, [{ ...file("f"), pax: { "SCHILY.xattr.user.a": "", "SCHILY.xattr.user.b": "" } }]],
  ];

  test.each(limited)("refuses more than the limit %s", (name, limits, specs) => {
    using box = new Sandbox();
    const root = box.directory();
    const refused = expect.objectContaining({
      code: "ERR_RESOURCE_EXHAUSTED",
      message: expect.stringMatching(
        new RegExp(`^layer: (?:entry ".+" )?at byte \\d+: more than the limit of \\d+ \\(${name}\\)$`),
      ),
    });
    // Or the layer would be alone there.
    writeFileSync(join(root, "lower"), "");
    expect(() => apply(tar(...specs), root, { ...mine, limits })).toThrow(refused);
  });

  test("gets into directories that lock out their owner", () => {
    using box = new Sandbox();
    const root = box.directory();
    asNobody(box, [root], () => {
      const layer = [
        dir("a", { mode: 0o555 }),
        dir("a/b", { mode: 0 }),
        dir("a/b/c", { mode: 0o111 }),
        file("a/b/c/f", "x", { mode: 0 }),
      ];
      apply(tar(...layer), root, mine);
      expect(statSync(join(root, "a")).mode % 0o10000).toBe(0o555);
      apply(tar(file("a/b/n"), whiteout("a/b/c/.wh.f"), file("a/b/c/g")), root, mine);
      expect(statSync(join(root, "a")).mode % 0o10000).toBe(0o555);
      apply(tar(whiteout(".wh.a")), root, mine);
    });
    expect(readdirSync(root)).toEqual([]);
  });

  test("closes everything, whatever happens", () => {
    using box = new Sandbox();
    const wide = Array.from({ length: 300 }, (_, at) => file(`${at % 7}/${at}/f`, "x"));
    apply(tar(), box.directory(), mine);
    const before = openDescriptors();
    apply(tar(...wide), box.directory(), mine);
    expect(openDescriptors()).toEqual(before);
    expect(() => apply(tar(...wide, file("../x")), box.directory(), mine)).toThrow(code("ERR_INVALID_DATA"));
    expect(openDescriptors()).toEqual(before);
    const writer = createLayerWriter(box.directory(), mine);
    writer.write(tar(...wide).subarray(0, 100_000));
    writer.write(tar(file("large", Buffer.alloc(2000))).subarray(0, 1000));
    writer.abort();
    writer.abort();
    expect(openDescriptors()).toEqual(before);
    expect(() => createLayerWriter(box.directory(), mine).end().questions).not.toThrow();
    expect(openDescriptors()).toEqual(before);
  });

  test("takes an archive from a stream, and stops on a signal with its reason", async () => {
    using box = new Sandbox();
    const layer = tar(file("a", Buffer.alloc(3_000_000, "a")), file("b", "b"));
    async function* source(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < layer.length; at += 99_999) yield layer.subarray(at, at + 99_999);
    }
    const root = box.directory();
    expect(await applyTar(source(), root, mine)).toMatchObject({ entries: 2, bytes: 3_000_001 });
    expect(statSync(join(root, "a")).size).toBe(3_000_000);
    const abort = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield layer.subarray(0, 100_000);
      abort.abort(new Error("enough"));
      for (;;) yield Buffer.alloc(100_000);
    }
    await expect(applyTar(endless(), box.directory(), { ...mine, signal: abort.signal })).rejects.toThrow("enough");
    await expect(applyTar(source(), join(root, "missing"), mine)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("goes deep and wide without trouble", () => {
    using box = new Sandbox();
    const deep = Array.from({ length: 600 }, (_, at) => dir("d/".repeat(at + 1)));
    const opaque = Array.from({ length: 20_000 }, () => whiteout("d/.wh..wh..opq"));
    const root = box.directory();
    apply(tar(...deep, ...opaque, file(`${"d/".repeat(600)}end`, "x")), root, mine);
    // A directory that was there before, with whiteouts and a tree that is removed.
    apply(tar(...opaque, whiteout(".wh.d")), root, mine);
    expect(readdirSync(root)).toEqual([]);
  });
});

describe.skipIf(!isRoot)("applying as root (needs root)", () => {
  test("sets attributes as they are, but none that belong to overlayfs or to the system", () => {
    // U-TAR.10, C-TAR.5
    using box = new Sandbox();
    const root = box.directory();
    const pax = {
      "SCHILY.xattr.user.key": "value",
      "SCHILY.xattr.security.selinux": "unconfined_u:object_r:default_t:s0\0",
      "SCHILY.xattr.trusted.own": "x",
      "SCHILY.xattr.trusted.overlay.opaque": "y",
      "SCHILY.xattr.user.overlay.opaque": "y",
      "SCHILY.xattr.unknown.name": "x",
    };
    const result = apply(
      tar(
        { ...file("f"), pax },
        { ...symlink("f", "l"), ...xattr("user.a", "b") },
        { ...dir("d"), ...xattr("user.a", "b") },
      ),
      root,
    );
    expect(names(join(root, "f"))).toEqual(["security.selinux", "user.key"]);
    expect(lgetxattr(join(root, "f"), "security.selinux").toString()).toBe("unconfined_u:object_r:default_t:s0\0");
    expect(names(join(root, "d"))).toEqual(["user.a"]);
    expect(result.skipped.xattrs).toBe(5);
  });

  test("an entry for a directory replaces its attributes", () => {
    using box = new Sandbox();
    const root = box.directory();
    apply(tar({ ...dir("d"), pax: { "SCHILY.xattr.user.old": "1", "SCHILY.xattr.user.both": "1" } }), root);
    apply(tar({ ...dir("d"), ...xattr("user.both", "2") }), root);
    expect(names(join(root, "d"))).toEqual(["user.both"]);
    expect(lgetxattr(join(root, "d"), "user.both").toString()).toBe("2");
  });

  test("a directory deleted and implied again has nothing of the old one, however many others are open", () => {
    using box = new Sandbox();
    const root = box.directory();
    apply(tar({ ...dir("d", { mode: 0o700, uid: 7 }), ...xattr("user.old", "x") }, file("d/gone")), root);
    const others = Array.from({ length: 120 }, (_, at) => file(`other${at}/f`));
    apply(tar(file("d/new"), whiteout(".wh.d"), ...others), root);
    expect(names(join(root, "d"))).toEqual([]);
    expect(statSync(join(root, "d"))).toMatchObject({ uid: 0, mode: 0o40755, mtimeMs: 0 });
    expect(statSync(join(root, "other0"))).toMatchObject({ uid: 0, mode: 0o40755, mtimeMs: 0 });
    expect(readdirSync(join(root, "d"))).toEqual(["new"]);
  });

  test("no file inherits an access control list or a group that no entry asks for", () => {
    using box = new Sandbox();
    const root = box.directory();
    const list = Buffer.from(
      "0200000001000700ffffffff020007000100000004000500ffffffff10000700ffffffff20000500ffffffff",
      "hex",
    );
    lsetxattr(root, "system.posix_acl_default", list, 0);
    apply(
      tar(dir("s", { mode: 0o2755, gid: 42 }), file("s/f"), dir("s/d"), file("i/f"), file("f"), {
        name: "p",
        type: "6",
      }),
      root,
    );
    const found = readTree(root, { without: ["root", "mtime"] });
    expect(found.map(({ path, mode, owner, xattrs }) => [path, mode, owner, xattrs.length])).toEqual([
      ["f", "644", "0:0", 0],
      ["i", "755", "0:0", 0],
      ["i/f", "644", "0:0", 0],
      ["p", "644", "0:0", 0],
      ["s", "2755", "0:42", 0],
      ["s/d", "755", "0:0", 0],
      ["s/f", "644", "0:0", 0],
    ]);
  });

  test("a hard link leaves owner, mode and times to its target", () => {
    using box = new Sandbox();
    const root = box.directory();
    apply(
      tar(file("f", "x", { mode: 0o4755, uid: 5, mtime: 9 }), {
        ...hardlink("f", "h"),
        mode: 0o777,
        uid: 7,
        mtime: 11,
      }),
      root,
    );
    expect(statSync(join(root, "f"))).toMatchObject({ mode: 0o104755, uid: 5, mtimeMs: 9000, nlink: 2 });
  });

  test("a file that replaces one leaves the other links of that one alone", () => {
    using box = new Sandbox();
    const root = box.directory();
    apply(tar(file("a", "old"), hardlink("a", "b")), root);
    apply(tar(file("a", "new")), root);
    expect(readFileSync(join(root, "b"), "utf8")).toBe("old");
  });

  test("an upper directory must be empty", () => {
    using box = new Sandbox();
    const root = box.directory();
    writeFileSync(join(root, "x"), "");
    expect(() => createLayerWriter(root, { target: "overlay" })).toThrow(code("ERR_FAILED_PRECONDITION"));
  });

  test("questions are plain data", () => {
    using box = new Sandbox();
    const layer = tar(
      file("a/f"),
      whiteout("b/.wh.x"),
      whiteout("c/.wh..wh..opq"),
      hardlink("lib/y", "h"),
      whiteout(".wh.d"),
      file("d/f"),
    );
    const { questions } = apply(layer, box.directory(), { target: "overlay" });
    expect(JSON.parse(JSON.stringify(questions))).toEqual({
      assumed: ["a", "b", "c", "lib"],
      implied: ["", "a"],
      whiteouts: ["d", "b/x"],
      opaque: ["c"],
      links: [{ path: "h", target: "lib/y", offset: 1536, stays: true, shows: true }],
    });
  });

  test("markers can be those of a mount with userxattr", () => {
    using box = new Sandbox();
    const upper = box.directory();
    const lower = box.directory();
    mkdirSync(join(lower, "e"));
    const options = { userxattr: true } as const;
    const { questions } = apply(tar(whiteout(".wh.d"), dir("d"), whiteout("e/.wh..wh..opq")), upper, {
      target: "overlay",
      ...options,
    });
    if (questions !== undefined) settleLayer(upper, lower, questions, options);
    expect(names(join(upper, "d"))).toEqual(["user.overlay.opaque"]);
    expect(names(join(upper, "e"))).toEqual(["user.overlay.opaque"]);
  });

  test("a layer that must be redone leaves the upper directory as it was", () => {
    using box = new Sandbox();
    const [upper, lower] = [box.directory(), box.directory()];
    apply(tar(symlink("usr/lib", "lib"), file("usr/lib/x"), file("gone")), lower);
    const { questions } = apply(tar(file("lib/y"), whiteout(".wh.gone")), upper, { target: "overlay" });
    const before = readTree(upper);
    expect(questions === undefined || settleLayer(upper, lower, questions)).toEqual({
      redo: true,
      reason: '"lib" is a link in a lower layer',
    });
    expect(readTree(upper)).toEqual(before);
  });

  test("implied directories get all attributes of the lower ones", () => {
    using box = new Sandbox();
    const [upper, lower] = [box.directory(), box.directory()];
    apply(tar({ ...dir("d", { mode: 0o2751, uid: 3, gid: 4, mtime: 5 }), ...xattr("user.a", "b") }), lower);
    lsetxattr(lower, "user.root", Buffer.from("r"), 0);
    const { questions } = apply(tar(file("d/f")), upper, { target: "overlay" });
    expect(questions === undefined || settleLayer(upper, lower, questions)).toEqual({ redo: false });
    const wanted = readTree(lower).filter(({ type }) => type === "dir");
    expect(readTree(upper).filter(({ type }) => type === "dir")).toEqual(wanted);
  });
});
