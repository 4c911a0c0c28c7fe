import { createTarSplitter } from "@varve/archive";
import { describe, expect, test } from "vitest";
import { inMemory, join, type Line, split } from "./split-archive.ts";
import { dir, entry, extended, file, hardlink, symlink, tar } from "./tar-builder.ts";

const segment = (...parts: readonly Buffer[]): string => Buffer.concat(parts).toString("base64");
const withoutPosition = (lines: readonly Line[]): unknown[] => lines.map((line) => ({ ...line, position: undefined }));

/** CRC-64 of ISO 3309 as the textbooks have it, in base64. */
function slowSum(content: Buffer): string {
  let sum = 0xffff_ffff_ffff_ffffn;
  for (const byte of content) {
    sum ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit += 1) sum = (sum & 1n) === 1n ? (sum >> 1n) ^ 0xd800_0000_0000_0000n : sum >> 1n;
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(sum ^ 0xffff_ffff_ffff_ffffn);
  return bytes.toString("base64");
}

describe("a tar splitter", () => {
  // S1.90, S1.91, S1.92
  test("writes what Go's tar-split writes, letter by letter", () => {
    const archive = tar(dir("d/"), file("d/hello", "123456789"), hardlink("d/hello", "h"), symlink("h", "s"));
    const header = (at: number, length = 512): string => archive.toString("base64", at, at + length);
    expect(split(archive).bytes.toString()).toBe(
      [
        `{"type":2,"payload":"${header(0)}","position":0}`,
        `{"type":1,"name":"d/","payload":null,"position":1}`,
        `{"type":2,"payload":"${header(512)}","position":2}`,
        `{"type":1,"name":"d/hello","size":9,"payload":"uQlWx3WkEAE=","position":3}`,
        `{"type":2,"payload":"${header(1024 + 9, 512 - 9 + 512)}","position":4}`,
        `{"type":1,"name":"h","payload":null,"position":5}`,
        `{"type":2,"payload":"${header(2048)}","position":6}`,
        `{"type":1,"name":"s","payload":null,"position":7}`,
        `{"type":2,"payload":"${header(2560, 1024)}","position":8}`,
        "",
      ].join("\n"),
    );
  });

  // C-TS.2, G-64
  test("escapes names as Go does, and keeps those that are no UTF-8 as bytes", () => {
    const raw = Buffer.from([0x63, 0x61, 0x66, 0xe9]);
    const archive = tar(file('a<b>&"\\\t\u2028\u2029\u00E9\u{1F600}'), file(raw), file(Buffer.from("\u{FFFD}")));
    const names = split(archive)
      .bytes.toString()
      .split("\n")
      .filter((line) => line.startsWith(`{"type":1`))
      .map((line) => /"name.*?(?=,"payload)/.exec(line)?.[0]);
    expect(names).toEqual([
      String.raw`"name":"a\u003cb\u003e\u0026\"\\\t\u2028\u2029é😀"`,
      `"name_raw":"Y2Fm6Q=="`,
      `"name":"\u{FFFD}"`,
    ]);
  });

  test("sums contents of any length, in blocks of any size", () => {
    for (const length of [1, 2, 3, 7, 8, 9, 15, 16, 17, 511, 512, 513, 4099]) {
      const content = Buffer.from(Array.from({ length }, (_, at) => (at * 7 + length) % 256));
      for (const size of [1, 3, 8, 13, 512, 600, 10_000]) {
        const { lines } = split(tar(file("f", content)), {}, [size]);
        expect(lines.find(({ type }) => type === 1)?.payload, `${length} by ${size}`).toBe(slowSum(content));
      }
    }
  });

  test("writes the same records whatever the blocks it is given", () => {
    const archive = tar(
      dir("d"),
      file(`d/${"n".repeat(300)}`, "x".repeat(1500), { pax: { comment: "c" } }),
      file("empty"),
      file("d/b", Buffer.alloc(512)),
      file("d/c", "y"),
    );
    const whole = split(archive).bytes;
    for (const sizes of [[1], [511], [512], [513], [3, 1000, 512]]) {
      expect(split(archive, {}, sizes).bytes.equals(whole)).toBe(true);
    }
  });

  test("keeps an extended header and its entry's header in one segment, and a global one in its own", () => {
    const global = extended("g", [["comment", "c"]]);
    const long = entry(file("n".repeat(200), "content"));
    const archive = Buffer.concat([global, long, Buffer.alloc(1024)]);
    const { lines } = split(archive);
    const end = global.length - 512 + "13 comment=c\n".length;
    expect(withoutPosition(lines)).toEqual([
      { type: 2, payload: segment(archive.subarray(0, end)) },
      { type: 2, payload: segment(archive.subarray(end, archive.length - 1536)) },
      { type: 1, name: "n".repeat(200), size: 7, payload: slowSum(Buffer.from("content")) },
      { type: 2, payload: segment(archive.subarray(archive.length - 1529)) },
    ]);
  });

  // S1.95, C-TS.1
  test("cuts 20 MiB that follow the end into pieces", async () => {
    const archive = Buffer.concat([tar(file("a", "b")), Buffer.alloc(20 << 20), Buffer.from("junk that is no block")]);
    const { bytes, lines } = split(archive, {}, [65_536]);
    expect(Math.max(...lines.map(({ payload }) => payload?.length ?? 0))).toBe(Math.ceil((1 << 20) / 3) * 4);
    expect(lines.length).toBe(3 + 21);
    expect((await join(bytes, inMemory({ a: "b" }))).equals(archive)).toBe(true);
  });

  // S1.93, G-61
  test("names a path once, as other tools want it, as long as no content is at stake", () => {
    const { lines, repeated } = split(
      tar(dir("d"), dir("./d/"), file("d/x"), symlink("y", "d//x"), file("e"), file("e", "now with content")),
    );
    expect(lines.filter(({ type }) => type === 1).map(({ name, size }) => [name, size])).toEqual([
      ["d", undefined],
      ["d/x", undefined],
      ["e", undefined],
    ]);
    expect(repeated).toBe(0);
  });

  test("tells very many names apart", () => {
    const names = Array.from({ length: 5000 }, (_, at) => `${at % 7}/${at}`);
    const archive = tar(...names.map((name) => file(name)), ...names.map((name) => file(`./${name}`)));
    const { lines, entries } = split(archive);
    expect(lines.flatMap(({ name }) => name ?? [])).toEqual(names);
    expect(entries).toBe(10_000);
  });

  test("counts files that have the name of one with content", () => {
    expect(split(tar(file("a", "1"), file("./a", "2"), file("a", "3"), file("b", "4"))).repeated).toBe(2);
  });

  test("keeps contents that the caller wants kept, and those that no tree has, in the segments", async () => {
    const seen: unknown[] = [];
    const archive = tar(file("a", "1"), file(".wh.b", "whiteout"), file("c", "3".repeat(700)), file("d", "4"));
    const { bytes, lines } = split(archive, {
      inline: ({ name, size, offset }) => {
        seen.push([name.toString(), size, offset]);
        return offset === 2560;
      },
    });
    expect(seen).toEqual([
      ["a", 1, 512],
      ["c", 700, 2560],
      ["d", 1, 4096],
    ]);
    expect(lines.map(({ type, name }) => [type, name])).toEqual([
      [2, undefined],
      [1, "a"],
      // A header starts each segment, behind the padding.
      [2, undefined],
      [2, undefined],
      [2, undefined],
      [1, "d"],
      [2, undefined],
    ]);
    expect((await join(bytes, inMemory({ a: "1", d: "4" }))).equals(archive)).toBe(true);
  });

  test("says what is wrong with an archive, in the caller's words, and is closed then", () => {
    const splitter = createTarSplitter(() => undefined, { subject: "layer x" });
    const archive = tar(file("a"));
    archive[0] = 0x62;
    expect(() => splitter.write(archive)).toThrow(expect.objectContaining({ code: "ERR_INVALID_DATA" }));
    expect(() => splitter.end()).toThrow("tar splitter: closed");
    const short = createTarSplitter(() => undefined, { subject: "layer x" });
    short.write(tar(file("a", "b")).subarray(0, 1000));
    expect(() => short.end()).toThrow(/^layer x: .*ends too early/);
    const given = createTarSplitter(() => undefined);
    given.abort();
    given.abort();
    expect(() => given.write(archive)).toThrow(expect.objectContaining({ code: "ERR_FAILED_PRECONDITION" }));
  });
});
