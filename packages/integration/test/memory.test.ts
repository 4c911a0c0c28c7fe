import { randomBytes } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { file, layerOf } from "../src/layers/layer-of.ts";
import { limitMemory } from "../src/memory-limit.ts";
import { Shelf } from "../src/pulls/shelf.ts";
import type { ShelfLayer } from "../src/pulls/shelf.ts";
import { serveShelf } from "../src/pulls/shelf-server.ts";
import { thorough } from "../src/rounds.ts";

const missing = await whyNoFaults([]);
const program = join(import.meta.dirname, "../src/pulls/pull-once.ts");
/** Its own memory and what the kernel cannot give up of its files: more, and it is killed. */
const limit = 256 * 1024 * 1024;
/** `VARVE_LARGE=4` makes the image four times as large. */
const scale = Number(process.env["VARVE_LARGE"] ?? (thorough ? 1 : 0.6));

/** Layers of a gigabyte together, or a little more than half of that, of which a few bytes are sent for some, and all for others. */
function largeLayers(shelf: Shelf): ShelfLayer[] {
  const million = scale * 1_000_000;
  return [
    shelf.layer(layerOf([file("zeros-1", Buffer.alloc(300 * million))]), "gzip"),
    shelf.layer(layerOf([file("random-1", randomBytes(100 * million))]), "plain"),
    shelf.layer(layerOf([file("zeros-2", Buffer.alloc(300 * million, "a"))]), "zstd"),
    shelf.layer(layerOf([file("random-2", randomBytes(100 * million))]), "gzip"),
    shelf.layer(layerOf([file("zeros-3", Buffer.alloc(200 * million, "b"))]), "gzip"),
  ];
}

describe.skipIf(missing !== undefined)(
  `a process that has 256 MiB (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    // F09, G-36
    test("pulls an image more than twice as large, of large layers at once, in every way", async ({ skip }) => {
      await using limited = await limitMemory(limit, skip);
      await using directory = await temporaryDirectory();
      const shelf = new Shelf(() => 0);
      const { tag } = shelf.image(largeLayers(shelf));
      await using server = await serveShelf(shelf);
      for (const isFast of [true, false]) {
        const root = await mkdtemp(join(directory.path, "store-"));
        const options = {
          snapshotter: isFast ? "overlay" : "native",
          followWhileFetching: isFast,
          parallelUnpack: isFast,
          maxConcurrentDownloads: 5,
          maxConcurrentUnpacks: 2,
        };
        const reference = `${server.host}/image:${tag}`;
        const { stdout } = await limited.run(process.execPath, [program, root, reference, JSON.stringify(options)]);
        process.stdout.write(`${options.snapshotter} ${stdout}\n`);
        const { statuses } = JSON.parse(stdout) as { statuses: string[] };
        expect(statuses).toEqual(Array.from({ length: 5 }, () => "unpacked"));
      }
      expect(await limited.kills()).toBe(0);
    });

    test("is killed when it takes more", async ({ skip }) => {
      await using limited = await limitMemory(limit, skip);
      const script = "for (const all = []; ; ) all.push(Buffer.alloc(1e7, 1))";
      await expect(limited.run(process.execPath, ["-e", script])).rejects.toMatchObject({ signal: "SIGKILL" });
      expect(await limited.kills()).toBeGreaterThan(0);
    });
  },
);
