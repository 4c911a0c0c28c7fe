import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { lgetxattr } from "@varve/syscalls";
import { dir, extended, entry, file, hardlink, symlink, tar, whiteout } from "./tar-builder.ts";

/** What somebody who unpacks layers of container images needs. */
export interface Behaviour {
  /** Its row in the table; several may share one. */
  readonly row: string;
  /** Unpacked one after the other into one directory. May name `outside`, an absolute path that is not to be touched. */
  layers(outside: string): readonly Buffer[];
  /** Whether the tree is right. */
  holds(root: string): boolean;
  /** Whether to refuse the layers is right, too. Default: false. */
  readonly mayRefuse?: boolean;
}

const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
const mtime = { seconds: 1_234_567_890, fraction: "123456789" };
const precise = { mtime: `${mtime.seconds}.${mtime.fraction}` };
const late = BigInt(`${mtime.seconds}${mtime.fraction}`);
const latin: Buffer = Buffer.from("caf\u{e9}", "latin1");

const has = (root: string, name: string): boolean =>
  lstatSync(join(root, name), { throwIfNoEntry: false }) !== undefined;
const text = (root: string, name: string): string => (has(root, name) ? readFileSync(join(root, name), "utf8") : "");

export const behaviours: readonly Behaviour[] = [
  {
    row: "files, directories, links of both kinds, long names",
    layers: () => [
      tar(
        dir("a"),
        file("a/x", "x"),
        symlink("x", "a/l"),
        hardlink("a/x", "y"),
        file(`${"n".repeat(200)}/${"m".repeat(200)}`, "z"),
      ),
    ],
    holds: (root) =>
      statSync(join(root, "y")).ino === statSync(join(root, "a/l")).ino &&
      text(root, `${"n".repeat(200)}/${"m".repeat(200)}`) === "z",
  },
  {
    row: "whiteouts, opaque directories",
    layers: () => [
      tar(dir("a"), file("a/gone", "x"), file("a/kept", "x"), dir("b"), file("b/gone", "x")),
      tar(whiteout("a/.wh.gone"), file("b/new", "x"), whiteout("b/.wh..wh..opq")),
    ],
    holds: (root) => readdirSync(join(root, "a")).join() === "kept" && readdirSync(join(root, "b")).join() === "new",
  },
  {
    row: "what lower layers have replaced, and linked to",
    layers: () => [tar(file("a", "x")), tar(dir("a"), file("a/x", "y"))],
    holds: (root) => text(root, "a/x") === "y",
  },
  {
    row: "what lower layers have replaced, and linked to",
    layers: () => [tar(dir("a"), file("a/x", "x")), tar(file("a", "y"))],
    holds: (root) => text(root, "a") === "y",
  },
  {
    row: "what lower layers have replaced, and linked to",
    layers: () => [tar(dir("a"), symlink("a", "l")), tar(dir("l"), file("l/x", "x"))],
    holds: (root) => lstatSync(join(root, "l")).isDirectory() && !has(root, "a/x"),
  },
  {
    row: "what lower layers have replaced, and linked to",
    layers: () => [tar(dir("a"), file("a/x", "x")), tar(hardlink("a/x", "y"))],
    holds: (root) => statSync(join(root, "y")).ino === statSync(join(root, "a/x")).ino,
  },
  {
    row: "what lower layers have replaced, and linked to",
    layers: () => [tar(file("x", "x"), symlink("x", "l")), tar(hardlink("l", "y"))],
    // It is a second name of the link, and not of what that leads to.
    holds: (root) => lstatSync(join(root, "y")).isSymbolicLink(),
  },
  {
    row: "entries below links of lower layers (`lib -> usr/lib`)",
    layers: () => [tar(dir("usr"), dir("usr/lib"), symlink("usr/lib", "lib")), tar(file("lib/x", "x"))],
    holds: (root) => text(root, "usr/lib/x") === "x" && lstatSync(join(root, "lib")).isSymbolicLink(),
  },
  {
    row: "entries below links of lower layers (`lib -> usr/lib`)",
    layers: () => [tar(dir("usr"), dir("usr/lib"), symlink("/usr/lib", "lib")), tar(file("lib/x", "x"))],
    holds: (root) => text(root, "usr/lib/x") === "x" && lstatSync(join(root, "lib")).isSymbolicLink(),
  },
  {
    row: "names that are no UTF-8, extended attributes (file capabilities)",
    layers: () => [tar(file(latin, "x"))],
    holds: (root) => readdirSync(root, { encoding: "buffer" }).some((name) => name.equals(latin)),
  },
  {
    row: "names that are no UTF-8, extended attributes (file capabilities)",
    layers: () => [tar({ ...file("x", "x"), pax: { "SCHILY.xattr.security.capability": capability } })],
    holds: (root) => attributeOf(join(root, "x"), "security.capability")?.equals(capability) === true,
  },
  {
    row: "times to the nanosecond, of links and directories too",
    layers: () => [
      tar(
        { ...dir("a"), pax: precise },
        { ...file("a/x", "x"), pax: precise },
        { ...symlink("x", "a/l"), pax: precise },
      ),
    ],
    holds: (root) =>
      ["a", "a/x", "a/l"].every((name) => lstatSync(join(root, name), { bigint: true }).mtimeNs === late),
  },
  {
    row: "owners, beyond 2,097,151 too",
    layers: () => [tar(file("x", "x", { uid: 1000, gid: 1000 }))],
    holds: (root) => owner(root, "x") === "1000:1000",
  },
  {
    row: "owners, beyond 2,097,151 too",
    layers: () => [tar({ ...file("x", "x"), pax: { uid: "3000000", gid: "4000000" } })],
    holds: (root) => owner(root, "x") === "3000000:4000000",
  },
  {
    row: "setuid, devices, fifos, sparse files",
    layers: () => [tar(file("x", "x", { mode: 0o4755, uid: 1000 }))],
    holds: (root) => (statSync(join(root, "x")).mode & 0o7777) === 0o4755,
  },
  {
    row: "setuid, devices, fifos, sparse files",
    layers: () => [tar({ name: "null", type: "3", major: 1, minor: 3 }, { name: "pipe", type: "6" })],
    holds: (root) => lstatSync(join(root, "null")).isCharacterDevice() && lstatSync(join(root, "pipe")).isFIFO(),
  },
  {
    row: "setuid, devices, fifos, sparse files",
    layers: () => [sparse("gnu"), sparse("posix")],
    holds: (root) => ["gnu", "posix"].every((name) => readFileSync(join(root, name)).equals(withHole)),
  },
  {
    row: "no entry hidden in another by a second size",
    // A link has no content, whatever its size says.
    layers: () => [Buffer.concat([entry({ ...symlink("x", "l"), size: 512 }), tar(file("seen"))])],
    holds: (root) => has(root, "seen"),
    mayRefuse: true,
  },
  {
    row: "no entry hidden in another by a second size",
    // Of two sizes the extended header's is right.
    layers: () => [
      Buffer.concat([
        extended("x", [["size", "512"]]),
        entry({ ...file("x"), size: 0 }),
        entry(file("hidden")),
        tar(file("seen")),
      ]),
    ],
    holds: (root) => !has(root, "hidden") && has(root, "seen"),
    mayRefuse: true,
  },
  {
    row: "nothing written outside, by links or by `..`",
    layers: (outside) => [
      tar(file("../up", "x")),
      tar(file(`${outside}/absolute`, "x")),
      tar(symlink(outside, "out"), file("out/x", "x"), dir("out/d")),
      tar(symlink(outside, "again"), hardlink("again/canary", "linked"), file("linked", "changed")),
      tar(symlink(`${outside}/canary`, "file"), file("file", "changed", { mode: 0o777 })),
      tar(symlink(".", "here"), symlink(`here/../..`, "above"), file("above/x", "x")),
    ],
    // Whoever looks at the canary says.
    holds: () => true,
    mayRefuse: true,
  },
];

const withHole: Buffer = Buffer.concat([Buffer.alloc(1 << 20), Buffer.from("end")]);

function sparse(format: string): Buffer {
  const script =
    'cd "$(mktemp -d)"; truncate -s 1M "$0"; printf end >>"$0"; tar -c --sparse --format="$0" "$0"; rm -r "$PWD"';
  return execFileSync("bash", ["-c", script, format]);
}

function owner(root: string, name: string): string {
  const { uid, gid } = statSync(join(root, name));
  return `${uid}:${gid}`;
}

function attributeOf(path: string, name: string): Buffer | undefined {
  try {
    return existsSync(path) ? lgetxattr(Buffer.from(path), name) : undefined;
  } catch {
    return undefined;
  }
}
