import assert from "node:assert/strict";
import type { SnapshotterCase } from "../case.ts";
import { names, rejects } from "../material.ts";

/** Among them what a path, a query, a log, a protocol and a C string make something else of. */
const texts: readonly string[] = [
  ".",
  "..",
  "/",
  "../../../../etc/passwd",
  "a/b/../c",
  "/absolute/path/",
  "\\",
  " ",
  "  spaces around  ",
  "-rf",
  "line\nfeed",
  "carriage\r\nreturn",
  "tab\tescape\u001B[31m",
  "nul\0inside",
  "\0",
  "quotes ' \" `",
  "'; DROP TABLE snapshots; --",
  "%s %00 %2e %",
  "* ? [a-z] _",
  "schlüssel-ключ-钥匙-🔑",
  "\u202Eright to left",
  "__proto__",
  "constructor",
  "null",
  "0",
  "1e3",
  `sha256:${"ab".repeat(32)}`,
  `k8s.io/1/sha256:${"cd".repeat(32)}`,
  "é".repeat(2048),
];

/** Each pair is two different texts. */
const pairs: readonly (readonly [string, string])[] = [
  ["name", "Name"],
  ["\u00E9", "e\u0301"],
  ["a", "a "],
  ["a", "a/"],
  ["a", "./a"],
  ["a", "a\n"],
  ["a", "a\0"],
  ["a\0b", "a\0c"],
  ["1", "01"],
  ["1", "1.0"],
  ["ß", "ss"],
  ["é".repeat(2048), `${"é".repeat(2047)}e`],
];

export const keyCases: readonly SnapshotterCase[] = [
  {
    name: "a key may be any text",
    rows: ["U-SN.5"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      for (const text of texts) {
        const mounts = await snapshotter.prepare(text, undefined);
        assert.deepEqual(await snapshotter.mounts(text), mounts, show(text));
        await rejects(snapshotter.view(text, undefined), "ERR_ALREADY_EXISTS", show(text));
        assert.equal((await snapshotter.stat(text)).name, text);
      }
      assert.deepEqual(await names(snapshotter), texts.toSorted());
      for (const text of texts) await snapshotter.remove(text);
      assert.deepEqual(await names(snapshotter), []);
    },
  },
  {
    name: "a name may be any text, also that of a parent",
    rows: ["U-SN.5", "S2.4"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      for (const text of texts) {
        await snapshotter.prepare("key", undefined);
        await snapshotter.commit(text, "key");
        await snapshotter.view("child", text);
        assert.equal((await snapshotter.stat("child")).parent, text);
        assert.equal((await snapshotter.update(text, { a: "b" })).name, text);
        await rejects(snapshotter.remove(text), "ERR_FAILED_PRECONDITION", show(text));
        await snapshotter.remove("child");
      }
      assert.deepEqual(await names(snapshotter), texts.toSorted());
    },
  },
  {
    name: "texts that look alike are different keys",
    rows: ["U-SN.5"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      for (const [one, other] of pairs) {
        await snapshotter.prepare(one, undefined, { labels: { of: "one" } });
        await rejects(snapshotter.stat(other), "ERR_NOT_FOUND", show(other));
        await snapshotter.prepare(other, undefined, { labels: { of: "other" } });
        assert.deepEqual(await names(snapshotter), [one, other].toSorted());
        assert.equal((await snapshotter.stat(one)).labels["of"], "one");
        await snapshotter.remove(one);
        assert.equal((await snapshotter.stat(other)).labels["of"], "other");
        await snapshotter.remove(other);
      }
    },
  },
  {
    name: "the empty text is no key and no name",
    rows: ["U-SN.5"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await snapshotter.prepare("key", undefined);
      await rejects(snapshotter.prepare("", undefined), "ERR_INVALID_ARGUMENT");
      await rejects(snapshotter.view("", undefined), "ERR_INVALID_ARGUMENT");
      await rejects(snapshotter.commit("", "key"), "ERR_INVALID_ARGUMENT");
      assert.deepEqual(await names(snapshotter), ["key"]);
      await snapshotter.commit("name", "key");
      // As a parent it is one that does not exist, and not none.
      await rejects(snapshotter.prepare("key", ""), "ERR_NOT_FOUND");
    },
  },
];

function show(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
