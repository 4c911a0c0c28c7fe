import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Flusher } from "@varve/snapshots-store";
import { isSupported, syncfsAsync } from "@varve/syscalls";
import { expect, test } from "vitest";
import { makeFiles, open } from "./backend.ts";
import { fillDisk, smallDisk } from "./disk.ts";
import { tempRoot } from "./temp-root.ts";

const privileged = process.geteuid?.() === 0 && isSupported();

/** Fails at the calls with these numbers, from 1. */
function failing(...calls: number[]): () => Promise<void> {
  let call = 0;
  return async () => {
    call += 1;
    if (calls.includes(call)) throw Object.assign(new Error(`call ${call}: EIO`), { code: "EIO" });
  };
}

const lost = { code: "ERR_DATA_LOSS", message: expect.stringMatching(/^snapshot \S+: cannot be committed: .*EIO/) };

// K11: the kernel tells of a lost write once, and marks the pages clean
test("after a flush that failed nothing that was active is ever committed, and what comes later is", async () => {
  using root = tempRoot();
  await using opened = await open(root.path, { own: () => ({ flush: failing(2) }) });
  const { snapshotter } = opened;
  for (const key of ["whole", "one", "two"]) await snapshotter.prepare(key, undefined);
  await snapshotter.commit("base", "whole");
  await expect(snapshotter.commit("name", "one")).rejects.toMatchObject({ code: "EIO" });
  await snapshotter.prepare("later", "base");
  for (const key of ["one", "two", "one"]) await expect(snapshotter.commit("name", key)).rejects.toMatchObject(lost);
  expect((await snapshotter.stat("one")).kind).toBe("active");
  await snapshotter.commit("name", "later");
  // Another who opens the store in this process gets no word of it from the kernel.
  await using again = await open(root.path);
  await expect(again.snapshotter.commit("other", "two")).rejects.toMatchObject(lost);
  await again.snapshotter.remove("two");
  await again.snapshotter.prepare("two", "base");
  await again.snapshotter.commit("other", "two");
});

test("a snapshot that was being made when something was lost is not committed", async () => {
  using root = tempRoot();
  const made = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const slow = async (directory: string): Promise<void> => {
    await makeFiles(directory);
    begun.resolve();
    await made.promise;
  };
  await using opened = await open(root.path, {
    own: () => ({ flush: failing(1), builder: ({ key }) => (key === "slow" ? slow : makeFiles) }),
  });
  const { snapshotter } = opened;
  await snapshotter.prepare("key", undefined);
  const preparing = snapshotter.prepare("slow", undefined);
  await begun.promise;
  await expect(snapshotter.commit("name", "key")).rejects.toMatchObject({ code: "EIO" });
  made.resolve();
  await preparing;
  await expect(snapshotter.commit("name", "slow")).rejects.toMatchObject(lost);
});

test("a commit whose own flush was good does not count on it when another one fails before its end", async () => {
  using root = tempRoot();
  let second: Promise<void> | undefined;
  const failOnce = failing(1);
  await using opened = await open(root.path, {
    own: () => ({
      flush: async () => {
        if (second !== undefined) return failOnce();
        second = opened.snapshotter.commit("name", "two");
        await expect(second).rejects.toMatchObject({ code: "EIO" });
      },
    }),
  });
  for (const key of ["one", "two"]) await opened.snapshotter.prepare(key, undefined);
  await expect(opened.snapshotter.commit("name", "one")).rejects.toMatchObject(lost);
});

test("a root that was wiped and made anew begins without suspects", async () => {
  using root = tempRoot();
  const path = join(root.path, "store");
  const outcomes: unknown[] = [];
  for (const calls of [[1], []]) {
    await using opened = await open(path, { own: () => ({ flush: failing(...calls) }) });
    await opened.snapshotter.prepare("key", undefined);
    outcomes.push(await Promise.allSettled([opened.snapshotter.commit("name", "key")]));
    rmSync(path, { recursive: true });
  }
  expect(outcomes).toMatchObject([[{ status: "rejected", reason: { code: "EIO" } }], [{ status: "fulfilled" }]]);
});

test("a flusher keeps its descriptor until it is closed, and flushes nothing afterwards", async () => {
  using root = tempRoot();
  const seen = new Set<number>();
  const flusher = new Flusher(root.path, async (fd) => void seen.add(fd));
  await flusher.flush();
  await flusher.flush();
  expect(seen.size).toBe(1);
  await flusher.close();
  await flusher.close();
  await expect(flusher.flush()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
});

// F06: of what was written without an error the disk may still say later that it could not be kept
test.skipIf(!privileged)(
  "a write that fails late, on a real disk, is found by the commit and not forgotten (needs root)",
  async () => {
    // A disk that promises more than it has: an image with holes on a filesystem that is too small for it.
    using host = smallDisk("16m");
    using mounted = tempRoot();
    const image = join(host.path, "image");
    execFileSync("truncate", ["-s", "64m", image]);
    // Without a journal, whose failure would make the disk read-only.
    execFileSync("mkfs.ext4", ["-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=0", image]);
    execFileSync("mount", ["-o", "loop", image, mounted.path]);
    try {
      const flushers: Flusher[] = [];
      await using opened = await open(join(mounted.path, "root"), {
        own: (store) => {
          const flusher = new Flusher(store.root, syncfsAsync);
          flushers.push(flusher);
          return { flush: () => flusher.flush(), close: () => flusher.close() };
        },
      });
      const { snapshotter, files } = opened;
      await snapshotter.prepare("good", undefined);
      await snapshotter.commit("base", "good");
      await snapshotter.prepare("key", "base");
      mkdirSync(join(host.path, "filler"));
      expect(() => fillDisk(join(host.path, "filler"))).toThrow("ENOSPC");
      writeFileSync(join(await files("key"), "file"), Buffer.alloc(2 << 20, 1));
      // Whoever else asks the kernel to write everything out must not take the error from us.
      expect(() => execFileSync("sync", ["-f", mounted.path], { stdio: "ignore" })).toThrow(/Command failed/);
      await expect(snapshotter.commit("name", "key")).rejects.toMatchObject({
        code: expect.stringMatching(/^(EIO|ENOSPC)$/),
      });
      rmSync(join(host.path, "filler"), { recursive: true });
      await expect(snapshotter.commit("name", "key")).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
      await snapshotter.remove("key");
      await snapshotter.prepare("key", "base");
      writeFileSync(join(await files("key"), "file"), Buffer.alloc(2 << 20, 1));
      await snapshotter.commit("name", "key");
    } finally {
      execFileSync("umount", [mounted.path]);
    }
  },
);
