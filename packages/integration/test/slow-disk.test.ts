import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { exec, temporaryDirectory } from "@varve-tools/corpus";
import { createDiffer } from "@varve/differ";
import { digestOf } from "@varve/digest";
import { describe, expect, test } from "vitest";
import { makeImage, withImage } from "../src/faults/disk-image.ts";
import { whyNoFaults } from "../src/faults/missing.ts";

const missing = await whyNoFaults(["mkfs.ext4", "fsfreeze", "tar"]);
const mebibyte = 1024 * 1024;
/** The rings of a layer, and what is on its way between them. */
const held = 4 * mebibyte;

/** A disk that takes nothing, until it is thawed: by the test, or if that dies, by itself. */
async function freeze(path: string): Promise<() => Promise<void>> {
  // In a group of its own, so that what it has started ends with it.
  const watchdog = spawn("sh", ["-c", 'sleep 100; fsfreeze -u "$1"', "sh", path], { stdio: "ignore", detached: true });
  watchdog.unref();
  await exec("fsfreeze", ["-f", path]);
  return async () => {
    if (watchdog.pid !== undefined) process.kill(-watchdog.pid);
    await exec("fsfreeze", ["-u", path]);
  };
}

describe.skipIf(missing !== undefined)("a disk that takes nothing for a while", () => {
  for (const [kind, compress] of Object.entries({ plain: (bytes: Buffer) => bytes, gzip: gzipSync })) {
    // G-36: nothing piles up between a download and a disk that is slower
    test(`stops the download of a ${kind} layer, and what is held stays small`, { timeout: 120_000 }, async () => {
      await using box = await temporaryDirectory();
      const tree = join(box.path, "tree");
      await mkdir(tree);
      await writeFile(join(tree, "file"), randomBytes(24 * mebibyte));
      await exec("tar", ["-c", "-C", tree, "-f", join(box.path, "tar"), "file"]);
      const tar = await readFile(join(box.path, "tar"));
      const blob = compress(tar);
      const image = join(box.path, "image");
      await makeImage(image, "ext4", 64);
      await withImage(image, join(box.path, "disk"), async ({ path }) => {
        await using differ = createDiffer({ concurrency: 1 });
        const progress = { taken: 0, hasEnded: false };
        const source = async function* (): AsyncGenerator<Uint8Array> {
          for (let at = 0; at < blob.length; at += 65_536) {
            progress.taken = at;
            yield blob.subarray(at, at + 65_536);
          }
        };
        const thaw = await freeze(path);
        const applying = differ.applyStream(source(), path);
        void applying.catch(() => undefined).finally(() => (progress.hasEnded = true));
        try {
          // As long as it may take: what is checked is how far it got, not when.
          let before = -1;
          while (!progress.hasEnded && (before !== progress.taken || before === 0)) {
            before = progress.taken;
            await sleep(500);
          }
          expect(before).toBeLessThan(held);
        } finally {
          await thaw();
        }
        expect((await applying).digest).toBe(digestOf(tar));
        expect((await readFile(join(path, "file"))).length).toBe(24 * mebibyte);
      });
    });
  }
});
