import { dir, entry, fifo, file, hardlink, symlink, whiteout } from "../build/entries.ts";
import { bad, layer } from "../build/layer.ts";
import { escapedName } from "../canary.ts";
import { aDir, aFile, aLink, latin1 } from "../tree/expected.ts";
import type { HostileLayers, Refusal } from "../types.ts";

const leaves: Refusal = { refused: "ERR_INVALID_DATA", rule: "path-above-root" };
const up = "../".repeat(40);
const untouchedRoot = { "": aDir({ mode: 0o755 }) };

/** Names that go up, start at the root, or are no names at all. */
export function pathVectors(outside: string): readonly HostileLayers[] {
  return [...leaving(outside), ...absolute(outside), ...rootItself(outside), ...odd(), ...long()];
}

const refused = (name: string, about: string, part: Buffer, entryName: string): HostileLayers => ({
  name: `paths/${name}`,
  about,
  layers: [layer(dir("kept"), bad(part))],
  expect: { ...leaves, entry: entryName },
});

function leaving(outside: string): readonly HostileLayers[] {
  return [
    refused("up", "the oldest one: CVE-2001-1267, CVE-2007-4559", file(`../${escapedName}`, "x"), `../${escapedName}`),
    refused("down-and-up", "the name starts inside", file(`a/../../${escapedName}`), `a/../../${escapedName}`),
    refused("far-up", "more steps up than the root is deep", file(`${up}${escapedName}`), `${up}${escapedName}`),
    refused(
      "up-to-the-canary",
      "by its whole name",
      file(`${up.slice(0, -1)}${outside}/passwd`),
      `${up.slice(0, -1)}${outside}/passwd`,
    ),
    refused(
      "up-directory",
      "directories are made before anything else",
      dir(`../${escapedName}/`),
      `../${escapedName}/`,
    ),
    refused(
      "up-symlink",
      "a link outside is as good as a file",
      symlink(`../${escapedName}`, "/"),
      `../${escapedName}`,
    ),
    refused("up-fifo", "special files too", fifo(`../${escapedName}`), `../${escapedName}`),
    refused("up-after-slashes", "empty names between the dots", file(`.//..//${escapedName}`), `.//..//${escapedName}`),
    refused(
      "up-whiteout",
      "a whiteout outside removes: CVE-2014-6408 and its kind",
      whiteout("../canary"),
      "../.wh.canary",
    ),
    refused(
      "up-in-pax",
      "the header's own name is harmless",
      entry({ name: "harmless", pax: { path: `../${escapedName}` } }),
      `../${escapedName}`,
    ),
    refused(
      "up-in-prefix",
      "each half of a ustar name is harmless",
      entry({ name: `./${escapedName}`, prefix: ".." }),
      `.././${escapedName}`,
    ),
  ];
}

const inside = (name: string, about: string, path: string, tree: readonly string[]): HostileLayers => ({
  name: `paths/${name}`,
  about,
  layers: [layer(file(path, "x"))],
  expect: { tree: Object.fromEntries(tree.map((each, at) => [each, at === tree.length - 1 ? aFile("x") : aDir()])) },
});

function absolute(outside: string): readonly HostileLayers[] {
  const names = outside.split("/").slice(1);
  const canary = names.map((_, at) => names.slice(0, at + 1).join("/"));
  return [
    inside("absolute", "taken from the root of the layer: CVE-2021-32804", "/etc/passwd", ["etc", "etc/passwd"]),
    inside("absolute-canary", "by its whole name", `${outside}/passwd`, [...canary, `${canary.at(-1)}/passwd`]),
    inside("many-slashes", "stripping one slash leaves an absolute name: CVE-2021-32804", "////etc///passwd", [
      "etc",
      "etc/passwd",
    ]),
    inside("absolute-up", "the root's parent is the root", `/../../${escapedName}`, [escapedName]),
    inside("slash-dots", "cleaning twice must not find new dots", "/./.././a", ["a"]),
  ];
}

const atRoot = (name: string, about: string, part: Buffer, root: object = untouchedRoot): HostileLayers => ({
  name: `paths/${name}`,
  about,
  layers: [layer(part, file("after", "x"))],
  expect: { tree: { ...root, after: aFile("x") } },
});

function rootItself(outside: string): readonly HostileLayers[] {
  return [
    atRoot(
      "dot-directory",
      "real layers carry it; its attributes are the root's",
      dir("./", { mode: 0o700, uid: 5, mtime: 7 }),
      {
        "": aDir({ mode: 0o700, uid: 5, mtime: 7_000_000_000n }),
      },
    ),
    atRoot("folded-directory", "a/.. is the root", dir("a/..", { mode: 0o711 }), { "": aDir({ mode: 0o711 }) }),
    atRoot("slash-directory", "so is /", dir("/", { mode: 0o711 }), { "": aDir({ mode: 0o711 }) }),
    atRoot("empty-file", "a file without a name: C-TAR.23; its content must be passed over", file("", "content")),
    atRoot("dot-file", "the root cannot become a file", file("a/..", "content")),
    atRoot("dot-symlink", "the root must not become a link: CVE-2021-29136 of umoci", symlink(".", outside)),
    atRoot("dot-hardlink", "nor a hard link", hardlink("./", "after")),
    atRoot("dot-fifo", "nor a fifo", fifo(".")),
    atRoot("dots-directory", "the directory above keeps its mode: C-TAR.22", dir("..", { mode: 0o777, uid: 5 })),
    atRoot("dots-symlink", "C-TAR.22", symlink("..", outside)),
    {
      name: "paths/dot-symlink-below-another-layer",
      about: "the second layer would be written to wherever the first one's link leads: CVE-2021-29136",
      layers: [layer(symlink("./", outside)), layer(file("passwd", "inside"), dir("etc", { mode: 0o777 }))],
      expect: { tree: { passwd: aFile("inside"), etc: aDir({ mode: 0o777 }) } },
    },
  ];
}

const named = (name: string, about: string, bytes: string | Buffer, tree?: string): HostileLayers => ({
  name: `paths/${name}`,
  about,
  layers: [layer(file(bytes, "x"))],
  expect: { tree: { [tree ?? (typeof bytes === "string" ? latin1(bytes) : bytes.toString("latin1"))]: aFile("x") } },
});

function odd(): readonly HostileLayers[] {
  return [
    named("backslashes", "a separator elsewhere, a letter here: CVE-2021-37701", `..\\..\\${escapedName}`),
    named("drive", "CVE-2021-37713, CVE-2026-29786", "C:varve"),
    named("three-dots", "more than two dots are a name", "..."),
    named("dots-and-blank", "a name that trimming turns into another one", ".. "),
    named("blank", "a name of one blank", " "),
    named("control", "names are bytes; messages must not print these", "\u001b[2J\n\r\t\u007f"),
    named("not-utf8", "latin-1 names are common in old images", Buffer.from("caf\u00e9", "latin1")),
    named("overlong-dots", "overlong UTF-8 of two dots is no `..`", Buffer.from("c0aec0ae", "hex")),
    named("wide-dots", "full-width dots become real ones when a name is normalised", "\uff0e\uff0e"),
    named("options", "names that a command takes for options", "--checkpoint-action=exec=sh"),
    named("dot-at-the-end", "cleaned as text", "f/.", "f"),
    named("slashes-and-dots", "cleaned as text", ".//.//f", "f"),
    named("nul-in-field", "a field ends at its first NUL", Buffer.from("f\0/../../x"), "f"),
    named("longest-field", "100 bytes leave no room for a NUL", "n".repeat(100)),
    named("longest-name", "255 bytes are the kernel's limit", "n".repeat(255)),
  ];
}

function long(): readonly HostileLayers[] {
  return [
    {
      name: "paths/prefix-and-name",
      about: "both halves of a ustar name at their full length",
      layers: [layer(entry({ name: "n".repeat(100), prefix: "p".repeat(155) }))],
      expect: { tree: { ["p".repeat(155)]: aDir(), [`${"p".repeat(155)}/${"n".repeat(100)}`]: aFile("") } },
    },
    {
      name: "paths/v7-directory",
      about: "before ustar a directory was a file with a slash at the end",
      layers: [layer(entry({ name: "d/", type: "\0", magic: "", size: 0 }), file("d/f", "x"))],
      expect: { tree: { d: aDir(), "d/f": aFile("x") } },
    },
    {
      name: "paths/up-inside",
      about: "the name is cleaned as text, so that what is taken back is never made (C-TAR.38)",
      layers: [layer(file("a/b/../c", "x"))],
      expect: { tree: { a: aDir(), "a/c": aFile("x") } },
    },
    {
      name: "paths/up-behind-a-link",
      about: "as text too: the link is not followed to find its parent",
      layers: [layer(symlink("l", "/etc/deep"), file("l/../x", "x"))],
      expect: { tree: { l: aLink("/etc/deep"), x: aFile("x") } },
    },
    {
      name: "paths/name-too-long",
      about: "256 bytes cannot be a name",
      layers: [layer(bad(file("n".repeat(256))))],
      expect: { refused: "ERR_INVALID_DATA", rule: "name-length", entry: "n".repeat(256) },
    },
    {
      name: "paths/file-with-slash",
      about: "GNU tar makes a directory of it, Go a file: whoever checks sees another tree than whoever unpacks",
      layers: [layer(bad(file("f/", "x")))],
      expect: { refused: "ERR_INVALID_DATA", rule: "name-slash", entry: "f/" },
    },
    {
      name: "paths/beyond-path-max",
      about: "a path of 5,000 bytes, which no call takes whole; realpath gives up on it: CVE-2025-4517",
      layers: [layer(file(`${`${"n".repeat(249)}/`.repeat(20)}f`, "x"))],
      expect: {
        tree: {
          ...Object.fromEntries(
            Array.from({ length: 20 }, (_, at) => [
              Array(at + 1)
                .fill("n".repeat(249))
                .join("/"),
              aDir(),
            ]),
          ),
          [`${`${"n".repeat(249)}/`.repeat(20)}f`]: aFile("x"),
        },
      },
    },
    {
      name: "paths/many-slashes-in-one-name",
      about: "64 KiB of slashes are two names",
      layers: [layer(file(`a${"/".repeat(60_000)}b`, "x"))],
      expect: { tree: { a: aDir(), "a/b": aFile("x") } },
    },
  ];
}
