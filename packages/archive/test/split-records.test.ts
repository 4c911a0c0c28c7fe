import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { bytesOf, failure, inMemory, join, type Line, linesOf, unpack } from "./split-archive.ts";
import { dir, file } from "./tar-builder.ts";

const content = "some content\n".repeat(100);

const numbered = (lines: readonly Line[]): string[] => bytesOf(lines).toString().split("\n").slice(0, -1);

describe("records", () => {
  const one = `{"type":1,"name":"a","size":1,"payload":"AAAAAAAAAAA=","position":0}`;
  test.each([
    ["no JSON", "{", /line 1: no JSON$/],
    ["no object", "[]", /line 1: no object$/],
    ["no type", `{"position":0}`, /line 1: unknown type$/],
    ["an unknown type", `{"type":3,"position":0}`, /line 1: unknown type$/],
    ["a position that is none", `{"type":2,"payload":"","position":"0"}`, /position is not 0$/],
    [
      "a record that is missing",
      `{"type":2,"payload":"","position":0}\n{"type":2,"payload":"","position":2}`,
      /line 2: position is not 1$/,
    ],
    ["a negative size", one.replace(`"size":1`, `"size":-1`), /wrong size$/],
    ["a size that is no integer", one.replace(`"size":1`, `"size":1.5`), /wrong size$/],
    ["a size beyond what numbers can say", one.replace(`"size":1`, `"size":9007199254740993`), /wrong size$/],
    ["no checksum", one.replace(`"AAAAAAAAAAA="`, "null"), /checksum has not 8 bytes$/],
    ["a short checksum", one.replace("AAAAAAAAAAA=", "AAAA"), /checksum has not 8 bytes$/],
    ["what is not base64", one.replace("AAAAAAAAAAA=", "AAAA*AAAAAA="), /payload is not base64$/],
    ["a payload that is a number", one.replace(`"AAAAAAAAAAA="`, "1"), /payload is no string$/],
    ["a name that is a number", one.replace(`"a"`, "1"), /name is no string$/],
    ["the start of a line", one.slice(0, -5), /line 1: no JSON$/],
  ])("with %s are refused", async (_, text, why) => {
    await expect(join(Buffer.from(text), inMemory({ a: "1" }))).rejects.toEqual(failure("ERR_INVALID_DATA", why));
  });

  test("longer than the limit are refused before they are collected", async () => {
    const line = Buffer.from(`{"type":2,"payload":"${"A".repeat(4000)}","position":0}\n`);
    for (const size of [1, 100, 10_000]) {
      const work = join(line, inMemory({}), { recordBytes: 2000 }, size);
      // eslint-disable-next-line no-await-in-loop
      await expect(work).rejects.toEqual(
        failure("ERR_RESOURCE_EXHAUSTED", /^layer: record 1: .*2000 \(recordBytes\)$/),
      );
    }
    expect((await join(line, inMemory({}), { recordBytes: line.length - 1 })).length).toBe(3000);
  });

  test("that are long and no segment are refused before they are taken apart", async () => {
    for (const line of [
      "[".repeat(9e6),
      `{"type":1,"name":"${"a".repeat(9e6)}","size":1,"payload":"AAAAAAAAAAA=","position":0}`,
    ]) {
      // eslint-disable-next-line no-await-in-loop
      await expect(join(Buffer.from(line), inMemory({}))).rejects.toEqual(
        failure("ERR_INVALID_DATA", /^layer: tar-split record in line 1: too long for anything but a segment$/),
      );
    }
    const long = `{"type":2,"payload":"${"A".repeat(9e6)}","position":0}\r\n`;
    expect((await join(Buffer.from(long), inMemory({}))).length).toBe(6_750_000);
  });

  test("are put together only in blocks of some size", async () => {
    for (const blockSize of [0, -1, 0.5, Number.NaN]) {
      // eslint-disable-next-line no-await-in-loop
      await expect(join(Buffer.from(`${one}\n`), inMemory({ a: "1" }), { blockSize })).rejects.toEqual(
        failure("ERR_INVALID_ARGUMENT", /^block size /),
      );
    }
  });

  test("changed in any way give an error, or else still the right stream", async () => {
    using layer = unpack(file("a", "first"), file("b", "other"), dir("c"), file("d", content));
    const diffId = `sha256:${execFileSync("sha256sum", { input: layer.archive }).toString().slice(0, 64)}`;
    const all = layer.bytes.toString().split("\n").slice(0, -1);
    const broken: string[][] = [];
    for (const [at, text] of all.entries()) {
      broken.push(
        all.toSpliced(at, 1),
        all.toSpliced(at, 0, text),
        all.with(at, text.replace(/.position.*/, `"position":99}`)),
      );
      if (at > 0) broken.push(all.toSpliced(at - 1, 2, text, all[at - 1] ?? ""));
      const record: Line = JSON.parse(text);
      const lines = linesOf(layer.bytes);
      broken.push(numbered(lines.with(at, { ...record, type: 3 - record.type })));
      if (record.size !== undefined) {
        broken.push(numbered(lines.with(at, { ...record, size: record.size + 1 })));
        broken.push(numbered(lines.with(at, { ...record, size: 0 })));
        broken.push(numbered(lines.with(at, { ...record, name: record.name === "a" ? "b" : "a" })));
        broken.push(numbered(lines.with(at, { ...record, payload: "AAAAAAAAAAA=" })));
      } else if (record.type === 2) {
        broken.push(
          numbered(
            lines.with(at, {
              ...record,
              payload: `${record.payload?.startsWith("A") ? "B" : "A"}${record.payload?.slice(1)}`,
            }),
          ),
        );
        broken.push(numbered(lines.toSpliced(at, 1)));
      }
    }
    let refused = 0;
    for (const lines of broken) {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      // eslint-disable-next-line no-await-in-loop
      await join(bytes, layer.files, { diffId }).then(
        (stream) => expect(stream.equals(layer.archive)).toBe(true),
        (error: unknown) => {
          refused += 1;
          expect(error).toEqual(
            expect.objectContaining({ code: expect.stringMatching(/^ERR_(?:DATA_LOSS|INVALID_DATA)$/) }),
          );
        },
      );
    }
    // What stands for an entry without content may change its kind, name or number of copies as it likes.
    expect(refused).toBeGreaterThan(broken.length - 12);
  });
});
