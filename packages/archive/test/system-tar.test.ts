import { execFileSync } from "node:child_process";
import { linkSync, lutimesSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  fchmodat,
  fchownat,
  lsetxattr,
  makedev,
  mkdirat,
  mknodat,
  S_IFCHR,
  S_IFIFO,
  symlinkat,
  utimensat,
} from "@varve/syscalls";
import {
  assert,
  constantFrom,
  dictionary,
  integer,
  letrec,
  nat,
  property,
  record,
  tuple,
  uint8Array,
} from "fast-check";
import { describe, expect, test } from "vitest";
import { apply, applyStaged, isRoot, Sandbox } from "./sandbox.ts";
import { readTree } from "./tree.ts";

/** The archive that GNU tar makes of a directory. */
function systemTar(directory: string, ...options: readonly string[]): Buffer {
  return execFileSync("tar", ["-c", ...options, "-C", directory, "."], { maxBuffer: 1 << 30 });
}

const at = (root: string, name: string | Buffer): Buffer => Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name)]);

/** A tree with one of everything. */
function makeTree(root: string): void {
  mkdirSync(join(root, "etc/sub"), { recursive: true });
  writeFileSync(join(root, "etc/hosts"), "127.0.0.1 localhost");
  linkSync(join(root, "etc/hosts"), join(root, "etc/sub/hosts.allow"));
  symlinkSync("../../..//nowhere", join(root, "etc/link"));
  lutimesSync(join(root, "etc/link"), 1, 2);
  writeFileSync(at(root, Buffer.from([0x6e, 0xff, 0xfe, 0x0a])), "name that is no UTF-8");
  writeFileSync(join(root, "n".repeat(250)), "long name");
  mkdirSync(join(root, `${"d".repeat(120)}/${"e".repeat(120)}`), { recursive: true });
  symlinkSync("t".repeat(300), join(root, "long link"));
  writeFileSync(join(root, "empty"), "");
  writeFileSync(join(root, "large"), Buffer.alloc(3_000_001, "varve"));
  mknodat(AT_FDCWD, at(root, "fifo"), S_IFIFO | 0o600, 0);
  mknodat(AT_FDCWD, at(root, "null"), S_IFCHR | 0o600, makedev(1, 3));
  mkdirat(AT_FDCWD, at(root, "sticky"), 0);
  fchmodat(AT_FDCWD, at(root, "sticky"), 0o1777, 0);
  writeFileSync(join(root, "setuid"), "x");
  fchownat(AT_FDCWD, at(root, "setuid"), 3_000_000, 1_234_567, 0);
  fchmodat(AT_FDCWD, at(root, "setuid"), 0o6755, 0);
  writeFileSync(join(root, "capable"), "x");
  const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
  lsetxattr(at(root, "capable"), "security.capability", capability, 0);
  lsetxattr(at(root, "capable"), "user.bytes", Buffer.from([0, 0xff, 0x0a]), 0);
  lsetxattr(at(root, "etc"), "user.directory", Buffer.from("value"), 0);
  for (const name of ["etc/hosts", "null", "fifo", "etc/sub", "etc", "etc/link", "large"]) {
    const mtime = { seconds: 1_234_567_890, nanoseconds: 123_456_789 };
    utimensat(AT_FDCWD, at(root, name), { mtime }, AT_SYMLINK_NOFOLLOW);
  }
}

// Names that are no UTF-8, long names and times below a second need one of the extensions.
const forms = [
  { name: "pax", options: ["--format=posix", "--xattrs", "--xattrs-include=*"], exact: true },
  { name: "GNU", options: ["--format=gnu"], exact: false },
];

describe.skipIf(!isRoot)("archives of GNU tar (needs root)", () => {
  // C-TAR.1
  test.each(forms)("in the form $name give the tree they were made of", ({ options, exact }) => {
    using box = new Sandbox();
    const source = box.directory();
    makeTree(source);
    const archive = systemTar(source, ...options);
    const root = box.directory();
    const result = apply(archive, root);
    const simplify = (path: string): object[] =>
      readTree(path, { without: ["root"] }).map((node) =>
        exact ? node : { ...node, mtime: node.mtime / 1_000_000_000n, xattrs: [] },
      );
    expect(simplify(root)).toEqual(simplify(source));
    expect(simplify(applyStaged(box, [archive]).root)).toEqual(simplify(source));
    expect(result.entries).toBe(readTree(source).length);
    expect(result.skipped).toEqual({ xattrs: 0, devices: 0, owners: 0, filtered: 0 });
  });

  test.each(["gnu", "posix"])("with holes give the same files, in the form %s", (format) => {
    using box = new Sandbox();
    const source = box.directory();
    const path = join(source, "holes");
    for (const [offset, text] of [
      [3 << 20, "one"],
      [9 << 20, "two"],
    ] as const) {
      execFileSync("dd", [`of=${path}`, "bs=1", `seek=${offset}`, "conv=notrunc"], {
        input: text,
        stdio: ["pipe", "pipe", "ignore"],
      });
    }
    execFileSync("truncate", ["-s", "20M", path]);
    for (const version of format === "gnu" ? [""] : ["0.0", "0.1", "1.0"]) {
      const archive = systemTar(
        source,
        `--format=${format}`,
        "--sparse",
        ...(version === "" ? [] : [`--sparse-version=${version}`]),
      );
      expect(archive.length).toBeLessThan(1 << 20);
      const root = box.directory();
      apply(archive, root);
      expect(readTree(root, { without: ["root", "mtime"] })).toEqual(readTree(source, { without: ["root", "mtime"] }));
      expect(Number(execFileSync("stat", ["-c", "%b", join(root, "holes")]).toString())).toBeLessThan(2000);
    }
  });

  type Item = {
    readonly mode: number;
    readonly uid: number;
    readonly time: readonly [number, number];
    readonly body: Body;
  };
  type Body = Uint8Array | "fifo" | "link" | { readonly [name: string]: Item };

  const { item } = letrec<{ item: Item; body: Body }>((tie) => ({
    item: record({
      mode: nat(0o7777),
      uid: nat(70_000),
      time: tuple(nat(2_000_000_000), nat(999_999_999)),
      body: tie("body"),
    }),
    body: integer({ min: 0, max: 9 }).chain((kind) =>
      kind < 4
        ? uint8Array({ maxLength: 3000 })
        : kind < 6
          ? constantFrom<Body[]>("fifo", "link")
          : dictionary(
              nat(6).map((n) => `${"x".repeat(n * 20)}n${n}`),
              tie("item"),
              { maxKeys: 4 },
            ),
    ),
  }));

  function build(path: string, { body, mode, uid, time }: Item): void {
    const bytes = Buffer.from(path);
    if (body === "fifo") mknodat(AT_FDCWD, bytes, S_IFIFO, 0);
    else if (body === "link") symlinkat("../any/where", AT_FDCWD, bytes);
    else if (body instanceof Uint8Array) writeFileSync(path, body);
    else {
      mkdirSync(path, { recursive: true });
      for (const [name, child] of Object.entries(body)) build(join(path, name), child);
    }
    fchownat(AT_FDCWD, bytes, uid, uid, AT_SYMLINK_NOFOLLOW);
    if (body !== "link") fchmodat(AT_FDCWD, bytes, mode, 0);
    utimensat(AT_FDCWD, bytes, { mtime: { seconds: time[0], nanoseconds: time[1] } }, AT_SYMLINK_NOFOLLOW);
  }

  test("of any tree give that tree", { timeout: 120_000 }, () => {
    assert(
      property(dictionary(constantFrom("a", "b", "c"), item, { maxKeys: 3 }), (items) => {
        using box = new Sandbox();
        const source = box.directory();
        for (const [name, each] of Object.entries(items)) build(join(source, name), each);
        const root = box.directory();
        apply(systemTar(source, "--format=posix"), root);
        expect(readTree(root, { without: ["root"] })).toEqual(readTree(source, { without: ["root"] }));
      }),
      { numRuns: 60 },
    );
  });
});
