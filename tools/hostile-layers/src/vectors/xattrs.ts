import { dir, fifo, file, symlink } from "../build/entries.ts";
import { aDir, aFifo, aFile, aLink } from "../tree/expected.ts";
import type { HostileLayers } from "../types.ts";
import { access, badAccess, capability, inherited } from "./attribute-values.ts";
import { gives, refuses } from "./attributes.ts";

const xattr = (name: string, value: string | Buffer): { readonly pax: Record<string, string | Buffer> } => ({
  pax: { [`SCHILY.xattr.${name}`]: value },
});

/** Extended attributes that are kept, left out or refused. */
export function xattrVectors(): readonly HostileLayers[] {
  return [...kinds(), ...extended(), ...lists()];
}

function extended(): readonly HostileLayers[] {
  const kept = (name: string, about: string, key: string, value: string | Buffer): HostileLayers =>
    gives(
      name,
      about,
      { f: aFile("x", { xattrs: { [key]: value.toString("latin1") } }) },
      file("f", "x", xattr(key, value)),
    );
  const left = (name: string, about: string, key: string): HostileLayers =>
    gives(
      name,
      about,
      { f: aFile("x", { xattrs: {} }), d: aDir({ xattrs: {} }) },
      file("f", "x", xattr(key, "y")),
      dir("d", xattr(key, "y")),
    );
  return [
    kept(
      "binary-value",
      "values are bytes, with NUL, = and newline",
      "user.a",
      Buffer.from([0, 0x3d, 0x0a, 0xff, 0x80]),
    ),
    kept("empty-value", "an empty value is one", "user.a", ""),
    kept("equals-in-value", "only the first = ends the key", "user.a", "b=c=d"),
    kept("label", "security.* is kept", "security.selinux", "system_u:object_r:etc_t:s0\0"),
    gives(
      "capability",
      "chown drops it, so it comes after",
      { f: aFile("x", { uid: 7, mode: 0o755, xattrs: { "security.capability": capability.toString("latin1") } }) },
      file("f", "x", { uid: 7, mode: 0o755, ...xattr("security.capability", capability) }),
    ),
    left("trusted", "trusted.* is never taken from an archive (U-TAR.10)", "trusted.own"),
    left("unknown-namespace", "no filesystem has it", "unknown.name"),
    left("no-namespace", "the kernel takes none without", "name"),
  ];
}

function kinds(): readonly HostileLayers[] {
  return [
    gives(
      "on-a-link",
      "user attributes are for files and directories",
      { l: aLink("x", { xattrs: {} }), p: aFifo({ xattrs: {} }) },
      symlink("l", "x", xattr("user.a", "b")),
      fifo("p", xattr("user.a", "b")),
    ),
    gives(
      "entry-again",
      "the last entry of a path counts for all of its attributes",
      { f: aFile("2", { xattrs: { "user.b": "2" } }), d: aDir({ xattrs: {} }) },
      file("f", "1", xattr("user.a", "1")),
      dir("d", xattr("user.a", "1")),
      file("f", "2", xattr("user.b", "2")),
      dir("d"),
    ),
    gives(
      "other-vendors",
      "attributes in the form of libarchive and star's lists as text are left out",
      { f: aFile("x", { xattrs: {} }) },
      file("f", "x", {
        pax: {
          "LIBARCHIVE.xattr.user.a": "Yg",
          "SCHILY.acl.access": "user::rwx,group::---,other::---",
          "RHT.security.selinux": "x",
        },
      }),
    ),
    refuses("no-name", "an attribute without a name", "xattr", file("f", "x", xattr("", "y"))),
    refuses("name-too-long", "256 bytes", "xattr", file("f", "x", xattr(`user.${"n".repeat(251)}`, "y"))),
    refuses(
      "value-too-long",
      "64 KiB and one byte",
      "xattr",
      file("f", "x", xattr("user.a", Buffer.alloc(65_537, "v"))),
    ),
    refuses("nul-in-name", "the kernel would see another name", "name-nul", file("f", "x", xattr("user.a\0.b", "y"))),
    refuses(
      "malformed-capability",
      "the kernel knows that it is none",
      "xattr",
      file("f", "x", xattr("security.capability", "rubbish")),
    ),
  ];
}

const text = (value: Buffer): string => value.toString("latin1");

function lists(): readonly HostileLayers[] {
  return [
    gives(
      "access-list",
      "access control lists are kept",
      { f: aFile("x", { mode: 0o674, xattrs: { "system.posix_acl_access": text(access) } }) },
      file("f", "x", { mode: 0o674, ...xattr("system.posix_acl_access", access) }),
    ),
    gives(
      "default-list",
      "what is made in the directory inherits none of it",
      {
        d: aDir({ mode: 0o755, xattrs: { "system.posix_acl_default": text(inherited) } }),
        "d/f": aFile("", { mode: 0o644, xattrs: {} }),
        "d/e": aDir({ mode: 0o755, xattrs: {} }),
        "d/i": aDir({ xattrs: {} }),
        "d/i/f": aFile("", { xattrs: {} }),
      },
      dir("d", xattr("system.posix_acl_default", inherited)),
      file("d/f"),
      dir("d/e"),
      file("d/i/f"),
    ),
    refuses(
      "malformed-list",
      "the kernel knows that it is none",
      "xattr",
      file("f", "x", xattr("system.posix_acl_access", badAccess)),
    ),
  ];
}
