import { sign } from "./headers-of.ts";
import { layerOf } from "./layer-of.ts";
import type { Item } from "./layer-of.ts";

/** An archive that readers do not see the same way. */
export interface Disagreement {
  readonly what: string;
  readonly archive: Buffer;
  /** What each reader sees: names with a letter of the type in front, `!` where it also complains, `refused` for nothing but that. */
  readonly ours: string;
  readonly gnu: string;
  readonly tarStream: string;
  /** Why we do what we do. */
  readonly why: string;
}

const end: Buffer = Buffer.alloc(1024);

/** Entries without an end, and with bytes put over the first header before it is signed. */
function raw(item: Item, ...edits: readonly (readonly [offset: number, bytes: string])[]): Buffer {
  const whole = layerOf([item]);
  const entry = whole.subarray(0, whole.length - end.length);
  for (const [offset, bytes] of edits) entry.write(bytes, offset, "latin1");
  sign(entry.subarray(0, 512));
  return entry;
}

const file = (name: string, content = ""): Buffer => raw({ name, content });

/** A record that says its own length right, if it has between ten and a hundred bytes. */
function record(key: string, value: string): string {
  return `${key.length + value.length + 5} ${key}=${value}\n`;
}

/** An extended header with these records, which may be malformed. */
function extended(type: string, records: string): Buffer {
  return raw({ name: "PaxHeader", content: Buffer.from(records, "latin1") }, [156, type]);
}

const typeAt = 156;
const sizeAt = 124;

/** Every kind of archive that one of the readers takes for something else than another does. */
export const disagreements: readonly Disagreement[] = [
  {
    what: "a symbolic link with a size",
    archive: Buffer.concat([
      raw({ name: "l", type: "symlink", link: "x" }, [sizeAt, "00000001000"]),
      file("a"),
      file("b"),
      end,
    ]),
    ours: "!",
    gnu: "l:l -:b",
    tarStream: "l:l -:b",
    why: "a link has no content; whoever passes over it misses an entry, so nobody may be told there is one",
  },
  {
    what: "a directory with a size",
    archive: Buffer.concat([
      raw({ name: "d/", type: "directory" }, [sizeAt, "00000001000"]),
      file("a"),
      file("b"),
      end,
    ]),
    ours: "d:d/ -:a -:b",
    gnu: "d:d/ -:a -:b",
    tarStream: "d:d/ !",
    why: "a directory has no content, and what old writers put there is a limit; tar-stream waits for it for ever",
  },
  {
    what: "an entry after one block of zeros",
    archive: Buffer.concat([file("a"), Buffer.alloc(512), file("b"), end]),
    ours: "-:a !",
    gnu: "-:a !",
    tarStream: "-:a -:b",
    why: "no writer leaves one; whoever stops there sees another archive than who goes on",
  },
  {
    what: "another archive after the end",
    archive: Buffer.concat([file("a"), end, file("b"), end]),
    ours: "-:a",
    gnu: "-:a",
    tarStream: "-:a -:b",
    why: "the end is the end (POSIX, Go)",
  },
  {
    what: "a wrong checksum",
    archive: (() => {
      const bytes = Buffer.concat([file("a"), file("b"), file("c"), end]);
      bytes.write("x", 512, "latin1");
      return bytes;
    })(),
    ours: "-:a !",
    gnu: "-:a -:c !",
    tarStream: "-:a !",
    why: "a header that is damaged is not passed over",
  },
  {
    what: "a global header with a path",
    archive: Buffer.concat([extended("g", record("path", "moved")), file("a"), end]),
    ours: "!",
    gnu: "-:moved",
    tarStream: "-:a",
    why: "it would rename all that follows, and containerd does not look at it",
  },
  {
    what: "a record that is longer than it says",
    archive: Buffer.concat([extended("x", "12 path=moved\n"), file("a"), end]),
    ours: "!",
    gnu: "-:a !",
    tarStream: "-:mov",
    why: "malformed records are refused",
  },
  {
    what: "a path that is no UTF-8 in an extended header",
    archive: Buffer.concat([extended("x", record("path", "m\u{e9}v")), file("a"), end]),
    ours: "-:m\\351v",
    gnu: "-:m\\351v",
    tarStream: "-:m\\357\\277\\275v",
    why: "names are bytes",
  },
  {
    what: "the end in the middle of a header",
    archive: Buffer.concat([file("a"), file("b").subarray(0, 300)]),
    ours: "-:a !",
    gnu: "-:a",
    tarStream: "-:a !",
    why: "what was cut off may have been the rest of the layer",
  },
  {
    what: "a GNU long name with an extended header's path",
    archive: Buffer.concat([
      raw({ name: "././@LongLink", content: "long\0" }, [typeAt, "L"]),
      extended("x", record("path", "pax")),
      file("a"),
      end,
    ]),
    ours: "!",
    gnu: "-:pax",
    tarStream: "-:pax",
    why: "one entry cannot have two names",
  },
  {
    what: "an unknown type",
    archive: Buffer.concat([raw({ name: "a" }, [typeAt, "Z"]), file("b"), end]),
    ours: "!",
    gnu: "?:a unknown file type 'Z' -:b",
    tarStream: "-:a -:b",
    why: "what cannot be written faithfully is refused",
  },
  {
    what: "junk after the digits of a mode",
    archive: Buffer.concat([raw({ name: "a" }, [100, "000644x\0"]), end]),
    ours: "!",
    gnu: "-:a !",
    tarStream: "-:a",
    why: "numbers are numbers",
  },
  {
    what: "an owner beyond 32 bits",
    archive: Buffer.concat([extended("x", record("uid", "4294967296")), file("a"), end]),
    ours: "!",
    gnu: "-:a !",
    tarStream: "-:a",
    why: "it would be another owner on the disk",
  },
  {
    what: "a name with NUL in an extended header",
    archive: Buffer.concat([extended("x", record("path", "a\0b")), file("x"), end]),
    ours: "!",
    gnu: "-:a",
    tarStream: "-:a\\000b",
    why: "the kernel would stop there",
  },
  {
    what: "two sizes of one file",
    archive: Buffer.concat([extended("x", record("size", "512")), raw({ name: "a" }), file("hidden"), file("b"), end]),
    ours: "!",
    gnu: "-:a -:b",
    tarStream: "-:a -:b",
    why: "it would end at one place for one reader and at another for the next",
  },
];
