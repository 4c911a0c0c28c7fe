import { spawnSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLayerWriter, type LayerWriterOptions, settleLayer } from "@varve/archive";
import type { IdMapping } from "@varve/mount";
import { lgetxattr, llistxattr } from "@varve/syscalls";
import { describe, expect, test } from "vitest";
import { apply, asNobody, isRoot, nobody, Sandbox } from "./sandbox.ts";
import { dir, file, hardlink, type Spec, symlink, tar, whiteout } from "./tar-builder.ts";
import { readTree } from "./tree.ts";

const name = "user.containers.override_stat";
const recorded = (path: string): string => lgetxattr(path, name).toString();

describe("files that belong to the caller, with a record of what they are to be", () => {
  const record = { ownership: "record" } as const;
  const layer: readonly Spec[] = [
    dir("d", { mode: 0o1777, uid: 7, gid: 8, mtime: 5 }),
    file("d/setuid", "x", { mode: 0o4755, pax: { uid: "4000000" }, gid: 9 }),
    file("d/locked", "secret", { mode: 0 }),
    { name: "null", type: "3", major: 1, minor: 3, mode: 0o666 },
    { name: "disk", type: "4", major: 8, minor: 1, mode: 0o660, gid: 6 },
    { name: "pipe", type: "6", mode: 0o600 },
    dir("empty", { uid: 3 }),
    hardlink("null", "null2"),
    { ...symlink("d", "link"), uid: 5 },
    file("implied/f"),
  ];

  test("have it in the form of containers/storage", () => {
    using box = new Sandbox();
    const root = box.directory();
    const result = asNobody(box, [root], () => apply(tar(...layer), root, record));
    const records = ["d", "d/setuid", "d/locked", "null", "null2", "disk", "pipe", "empty", "implied", "implied/f"];
    expect(records.map((path) => `${path} ${recorded(join(root, path))}`)).toEqual([
      "d 7:8:1777:dir",
      "d/setuid 4000000:9:4755:file",
      "d/locked 0:0:0000:file",
      "null 0:0:0666:char-1-3",
      "null2 0:0:0666:char-1-3",
      "disk 0:6:0660:block-8-1",
      "pipe 0:0:0600:pipe",
      "empty 3:0:0755:dir",
      "implied 0:0:0755:dir",
      "implied/f 0:0:0644:file",
    ]);
    expect(llistxattr(join(root, "link"))).toEqual([]);
    expect(result.skipped).toEqual({ xattrs: 0, devices: 0, owners: 1, filtered: 0 });
  });

  test("are closed to others and never setuid, and the caller can work with them", () => {
    using box = new Sandbox();
    const root = box.directory();
    asNobody(box, [root], () => {
      apply(tar(...layer), root, record);
      expect(readFileSync(join(root, "d/locked"), "utf8")).toBe("secret");
    });
    const modes = ["d", "d/setuid", "d/locked", "null", "pipe"].map((path) => statSync(join(root, path)));
    expect(modes.map(({ mode }) => mode.toString(8))).toEqual(["40700", "100700", "100600", "100600", "100600"]);
    expect(new Set(modes.map(({ uid }) => uid))).toEqual(new Set([isRoot ? nobody : process.getuid?.()]));
    expect(statSync(join(root, "null"))).toMatchObject({ size: 0, nlink: 2 });
    expect(statSync(join(root, "d"))).toMatchObject({ mtimeMs: 5000 });
  });

  test("have no record and no list that the layer made up", () => {
    using box = new Sandbox();
    const root = box.directory();
    const list = Buffer.from("0200000001000600ffffffff04000400ffffffff20000400ffffffff", "hex");
    const pax = {
      [`SCHILY.xattr.${name}`]: "0:0:04755:char-1-3",
      "SCHILY.xattr.system.posix_acl_access": list,
      "SCHILY.xattr.user.own": "x",
    };
    const result = asNobody(box, [root], () => apply(tar({ ...file("f"), pax }, { ...dir("d"), pax }), root, record));
    expect(recorded(join(root, "f"))).toBe("0:0:0644:file");
    expect(recorded(join(root, "d"))).toBe("0:0:0755:dir");
    expect(llistxattr(join(root, "f")).map(String).toSorted()).toEqual([name, "user.own"]);
    expect(result.skipped.xattrs).toBe(4);
  });

  test("are removed and replaced like others, whatever their record says", () => {
    using box = new Sandbox();
    const root = box.directory();
    asNobody(box, [root], () => {
      apply(tar(...layer), root, record);
      apply(
        tar(whiteout(".wh.null"), whiteout("d/.wh.locked"), dir("d", { uid: 1 }), file("pipe", "now")),
        root,
        record,
      );
    });
    const paths = readTree(root, { without: ["root"] }).map(({ path }) => path);
    expect(paths).toEqual(["d", "d/setuid", "disk", "empty", "implied", "implied/f", "link", "null2", "pipe"]);
    expect(recorded(join(root, "d"))).toBe("1:0:0755:dir");
    expect(recorded(join(root, "pipe"))).toBe("0:0:0644:file");
  });
});

describe.skipIf(!isRoot)("a layer for somebody without rights, under an overlay (needs root to look at it)", () => {
  test.each(["record", "skip"] as const)("gives the tree of the directory, whiteouts and all: %s", (ownership) => {
    using box = new Sandbox();
    const options: LayerWriterOptions = {
      ownership,
      devices: ownership === "skip" ? "skip" : "create",
      userxattr: true,
    };
    const lower = tar(
      dir("d", { uid: 3, mode: 0o755 }),
      file("d/gone"),
      file("d/kept", "k"),
      dir("o"),
      file("o/gone"),
      dir("r"),
      file("r/x"),
      file("top"),
      { name: "null", type: "3", major: 1, minor: 3 },
    );
    const upper = tar(
      whiteout("d/.wh.gone"),
      whiteout("o/.wh..wh..opq"),
      file("o/new"),
      whiteout(".wh.r"),
      file("r/y"),
      whiteout(".wh.null"),
      hardlink("top", "second"),
    );
    const [inPlace, below, above] = [box.directory(), box.directory(), box.directory()];
    const made = asNobody(box, [inPlace, below, above], () => {
      apply(lower, inPlace, options);
      apply(upper, inPlace, options);
      apply(lower, below, options);
      const { questions } = apply(upper, above, { ...options, target: "overlay" });
      if (questions === undefined) throw new Error("no questions");
      return settleLayer(above, below, questions, options);
    });
    expect(made).toEqual({ redo: false });
    const merged = box.overlay([below, above], undefined, ["userxattr"]);
    const without = { without: ["root", "mtime"] } as const;
    expect(readTree(merged, without)).toEqual(readTree(inPlace, without));
  });
});

const run = (container: number, host: number, size: number): IdMapping => ({ container, host, size });

/** A list for the owner, one user, the group, the mask, and others. */
function acl(id: number): Buffer {
  const entries = [0x1, 0x2, 0x4, 0x10, 0x20].map((tag) => {
    const bytes = Buffer.from([tag, 0, tag === 0x20 ? 4 : 6, 0, 0xff, 0xff, 0xff, 0xff]);
    if (tag === 0x2) bytes.writeUInt32LE(id, 4);
    return bytes;
  });
  return Buffer.concat([Buffer.from([2, 0, 0, 0]), ...entries]);
}

describe.skipIf(!isRoot)("owners that are mapped (needs root)", () => {
  const idMappings = { uid: [run(0, 100_000, 1000), run(5000, 300_000, 1)], gid: [run(0, 200_000, 1000)] };
  test("are those of the user namespace, in access control lists and capabilities too", () => {
    using box = new Sandbox();
    const root = box.directory();
    const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
    apply(
      tar(
        dir("d", { uid: 1, gid: 2 }),
        {
          ...file("d/f", "x", { uid: 5000, gid: 999, mode: 0o4755 }),
          pax: { "SCHILY.xattr.security.capability": capability },
        },
        { ...file("acl", "", { mode: 0o664 }), pax: { "SCHILY.xattr.system.posix_acl_access": acl(7) } },
        { ...symlink("f", "d/l"), uid: 3 },
        file("implied/f"),
      ),
      root,
      { idMappings },
    );
    const found = readTree(root, { without: ["root", "mtime"] }).map(({ path, owner }) => `${path} ${owner}`);
    expect(found).toEqual([
      "acl 100000:200000",
      "d 100001:200002",
      "d/f 300000:200999",
      "d/l 100003:200000",
      "implied 100000:200000",
      "implied/f 100000:200000",
    ]);
    expect(statSync(join(root, "d/f")).mode).toBe(0o104755);
    expect(lgetxattr(join(root, "acl"), "system.posix_acl_access")).toEqual(acl(100_007));
    expect(lgetxattr(join(root, "d/f"), "security.capability").toString("hex")).toBe(
      "0100000300040000000000000000000000000000a0860100",
    );
  });

  test.each([
    ["a file of a user", file("f", "", { uid: 1000 }), "user 1000"],
    ["a directory of a group", dir("f", { gid: 1000 }), "group 1000"],
    ["a link of a user between two runs", { ...symlink("x", "f"), uid: 4999 }, "user 4999"],
    [
      "a list with such a user",
      { ...file("f"), pax: { "SCHILY.xattr.system.posix_acl_access": acl(1001) } },
      "user 1001",
    ],
  ])("%s who is not mapped is refused", (_what, spec, who) => {
    using box = new Sandbox();
    expect(() => apply(tar(spec), box.directory(), { idMappings })).toThrow(
      expect.objectContaining({
        code: "ERR_FAILED_PRECONDITION",
        message: `layer: entry "f" at byte 0: ${who} is not mapped (id-mapping)`,
      }),
    );
  });

  test("go only with owners that are kept, and only in runs that are some", () => {
    using box = new Sandbox();
    const invalid = expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" });
    expect(() => createLayerWriter(box.directory(), { idMappings, ownership: "record" })).toThrow(invalid);
    for (const wrong of [run(0, 0, 0), run(-1, 0, 1), run(0, 4_294_967_295, 1), run(0.5, 0, 1)]) {
      const options = { idMappings: { uid: [wrong], gid: [] } };
      expect(() => createLayerWriter(box.directory(), options)).toThrow(invalid);
    }
  });
});

// A user namespace where root is all there is; some systems have none for tests.
const inNamespace = ["--user", "--map-root-user", process.execPath, "--input-type=module", "--eval"];
const hasNamespaces = spawnSync("unshare", [...inNamespace, ""]).status === 0;

describe.skipIf(!isRoot || !hasNamespaces)("in a user namespace (needs root and unshare)", () => {
  test.each([
    ["a file", file("f", "", { uid: 1000, gid: 5 })],
    ["a directory", dir("f", { uid: 1000, gid: 5 })],
  ])("%s of an owner that it does not have is refused, with the reason", (_what, spec) => {
    // U-TAR.9
    using box = new Sandbox();
    writeFileSync(join(box.path, "layer.tar"), tar(file("ok"), spec));
    const script = `
      import { readFileSync } from "node:fs";
      import { createLayerWriter } from ${JSON.stringify(import.meta.resolve("@varve/archive"))};
      const writer = createLayerWriter(${JSON.stringify(box.directory())});
      try {
        writer.write(readFileSync(${JSON.stringify(join(box.path, "layer.tar"))}));
        writer.end();
      } catch (error) {
        console.log(error.code, error.message);
      }`;
    const { stdout, stderr } = spawnSync("unshare", [...inNamespace, script], { encoding: "utf8" });
    expect(stdout + stderr).toBe(
      'ERR_FAILED_PRECONDITION layer: entry "f" at byte 512: owner 1000:5 is not mapped in this user namespace (id-mapping)\n',
    );
  });
});
