import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join as joinPath } from "node:path";
import { joinTar } from "@varve/archive";
import { describe, expect, test } from "vitest";
import { isRoot, openDescriptors } from "./sandbox.ts";
import { bytesOf, failure, inPieces, join, unpack } from "./split-archive.ts";
import { dir, file, hardlink, symlink } from "./tar-builder.ts";

const content = "some content\n".repeat(100);

/** Moves the file away before the step. */
const after =
  (step: (path: string) => unknown) =>
  (path: string): void => {
    renameSync(path, `${path}2`);
    step(path);
  };

describe("joining", () => {
  test("gives the archive back, whatever the pieces of the records and of the result", async () => {
    using layer = unpack(
      dir("d"),
      file("d/a", content),
      hardlink("d/a", "d/b"),
      symlink("d", "l"),
      file("d/empty"),
      file(`d/${"n".repeat(240)}`, "long"),
      file(Buffer.from([0x64, 0x2f, 0xff]), "no UTF-8"),
      file("/d/absolute", "1"),
      file("./d/./e/../dot", "2"),
      file("l/through", "3"),
    );
    for (const size of [1, 100, 100_000]) {
      for (const blockSize of [1, 1000, 512 * 1024]) {
        // eslint-disable-next-line no-await-in-loop
        expect((await join(layer.bytes, layer.files, { blockSize }, size)).equals(layer.archive)).toBe(true);
      }
    }
  });

  test("takes records whose last line has no end, and none at all", async () => {
    using layer = unpack(file("a", content));
    expect((await join(layer.bytes.subarray(0, -1), layer.files)).equals(layer.archive)).toBe(true);
    expect(await join(Buffer.alloc(0), layer.files)).toEqual(Buffer.alloc(0));
  });

  // C-LS.4
  test("does not mind what else is in the tree, nor times and owners", async () => {
    using layer = unpack(dir("d"), file("d/a", content));
    writeFileSync(joinPath(layer.root, "d/more"), "more");
    execFileSync("touch", [joinPath(layer.root, "d/a")]);
    expect((await join(layer.bytes, layer.files)).equals(layer.archive)).toBe(true);
  });

  // S1.94, C-TS.1
  describe("tells which file is damaged, and how", () => {
    const cases: readonly (readonly [string, (path: string) => void, RegExp])[] = [
      [
        "other content",
        (path) => writeFileSync(path, content.replace("some", "same")),
        /has other content than was recorded$/,
      ],
      ["shorter", (path) => truncateSync(path, 1299), /has 1299 bytes instead of 1300$/],
      ["longer", (path) => truncateSync(path, 1301), /has 1301 bytes instead of 1300$/],
      ["gone", (path) => rmSync(path), /is gone$/],
      ["a directory", after((path) => mkdirSync(path)), /is a directory now$/],
      ["a link to the same content", after((path) => symlinkSync("a\n2", path)), /is a symbolic link now$/],
      ["a fifo", after((path) => execFileSync("mkfifo", [path])), /is a fifo now$/],
      ...(isRoot
        ? [
            [
              "a device",
              after((path) => execFileSync("mknod", [path, "c", "1", "5"])),
              /is a character device now$/,
            ] as const,
          ]
        : []),
    ];
    test.each(cases)("%s", async (_, damage, why) => {
      using layer = unpack(file("before", "1"), dir("d"), file("d/a\n", content), file("after", "2"));
      damage(joinPath(layer.root, "d/a\n"));
      const before = openDescriptors().length;
      const out: Uint8Array[] = [];
      const work = async (): Promise<void> => {
        const options = { blockSize: 64, subject: "layer x" };
        for await (const block of joinTar(inPieces(layer.bytes, 7), layer.files, options)) out.push(Buffer.from(block));
      };
      const error: unknown = await work().catch((thrown: unknown) => thrown);
      expect(error).toEqual(failure("ERR_DATA_LOSS", /^layer x: entry "d\/a\\x0a" at byte 2048: the file /));
      expect(error).toEqual(failure("ERR_DATA_LOSS", why));
      // Nothing comes after the file that is at fault.
      expect(Buffer.concat(out).length).toBeLessThanOrEqual(layer.archive.indexOf(content) + content.length);
      // Lets go of the directory of the last one.
      layer.files.open(Buffer.from("before"));
      expect(openDescriptors().length).toBe(before);
    });
  });

  test("stays inside the tree, whatever links are in it", async () => {
    using layer = unpack(dir("d"), file("d/secret", "1234"));
    const outside = `${layer.root}-outside`;
    mkdirSync(outside);
    writeFileSync(joinPath(outside, "secret"), "1234");
    rmSync(joinPath(layer.root, "d"), { recursive: true });
    for (const target of [outside, "../".repeat(20) + outside.slice(1), `/proc/self/root${outside}`]) {
      symlinkSync(target, joinPath(layer.root, "d"));
      // eslint-disable-next-line no-await-in-loop
      await expect(join(layer.bytes, layer.files)).rejects.toEqual(failure("ERR_DATA_LOSS", /the file is gone$/));
      rmSync(joinPath(layer.root, "d"));
    }
    // What is inside is the tree's own, as it is for whoever lives in it.
    symlinkSync("/elsewhere", joinPath(layer.root, "d"));
    mkdirSync(joinPath(layer.root, "elsewhere"));
    writeFileSync(joinPath(layer.root, "elsewhere/secret"), "1234");
    expect((await join(layer.bytes, layer.files)).equals(layer.archive)).toBe(true);
    const climbing = bytesOf(
      layer.lines.map((line) => (line.name === "d/secret" ? { ...line, name: "../x/secret" } : line)),
    );
    await expect(join(climbing, layer.files)).rejects.toEqual(failure("ERR_DATA_LOSS", /leads out of the tree$/));
  });

  test("finds files at paths longer than the kernel takes", async () => {
    const deep = `${"d".repeat(200)}/`.repeat(60);
    using layer = unpack(file(`${deep}file`, content));
    expect((await join(layer.bytes, layer.files)).equals(layer.archive)).toBe(true);
  });

  // C-LS.6
  test("fails with the records of another layer", async () => {
    using one = unpack(file("a", content));
    using two = unpack(file("a", content.toUpperCase()));
    await expect(join(one.bytes, two.files)).rejects.toEqual(failure("ERR_DATA_LOSS", /entry "a".*other content/));
    await expect(join(two.bytes, one.files)).rejects.toEqual(failure("ERR_DATA_LOSS", /entry "a".*other content/));
  });

  test("checks the whole against a digest, and holds back the end when it differs", async () => {
    using layer = unpack(file("a", content));
    const diffId = `sha256:${execFileSync("sha256sum", { input: layer.archive }).toString().slice(0, 64)}`;
    expect((await join(layer.bytes, layer.files, { diffId })).equals(layer.archive)).toBe(true);
    const cut = bytesOf(layer.lines.slice(0, -1));
    await expect(join(cut, layer.files, { diffId })).rejects.toEqual(
      failure("ERR_DATA_LOSS", `^layer: the rebuilt archive is sha256:[0-9a-f]{64} instead of ${diffId}$`),
    );
  });

  test("refuses a digest that is none, and files that are closed", async () => {
    using layer = unpack(file("a", content));
    const wrong = failure("ERR_INVALID_ARGUMENT", "^diff ID md5:00: not a digest$");
    await expect(join(layer.bytes, layer.files, { diffId: "md5:00" })).rejects.toEqual(wrong);
    layer.files.close();
    await expect(join(layer.bytes, layer.files)).rejects.toEqual(failure("ERR_FAILED_PRECONDITION", "closed"));
  });

  test("rejects with the reason of its signal, before and in the middle", async () => {
    using layer = unpack(file("a", content));
    const reason = new Error("enough");
    await expect(join(layer.bytes, layer.files, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const work = async (): Promise<void> => {
      const { signal } = controller;
      for await (const _ of joinTar(inPieces(layer.bytes, 100), layer.files, { signal, blockSize: 512 }))
        controller.abort(reason);
    };
    await expect(work()).rejects.toBe(reason);
  });

  test("closes what is open when the reader leaves", async () => {
    using layer = unpack(file("a", content));
    const before = openDescriptors().length;
    for await (const block of joinTar(inPieces(layer.bytes, 9), layer.files, { blockSize: 600 })) {
      expect(block.length).toBe(600);
      if (openDescriptors().length > before) break;
    }
    expect(openDescriptors().length).toBe(before);
  });
});
