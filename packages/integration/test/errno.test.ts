import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { bash, exec, temporaryDirectory } from "@varve-tools/corpus";
import { readBlob } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { describe, expect, test } from "vitest";
import { Bench } from "../src/faults/bench.ts";
import { testBlob } from "../src/faults/bytes.ts";
import { mustBeWhole, mustHave, put } from "../src/faults/content-scenario.ts";
import { makeImage, unmount, withImage } from "../src/faults/disk-image.ts";
import { failEverywhere, flaws } from "../src/faults/failures.ts";
import { whyNoFaults } from "../src/faults/missing.ts";
import type { Occurrence } from "../src/faults/recording.ts";
import { rounds } from "../src/rounds.ts";

const missing = await whyNoFaults(["strace", "prlimit"]);
/** When it hangs: two minutes on a quiet machine when thorough. */
const timeout = 1_800_000;
const scenarios = ["content", "metadata"];
/** More than any of the scenarios needs, however busy the machine is. */
const mostDescriptors = 60;

/**
 * Nothing is promised of an ingest that is not committed. A checkpoint at the end moves what is safe already, and SQLite
 * itself forgives the directory. A snapshot is removed when its record is; what it left below goes with the next collection.
 */
function mayIgnore({ call, after = "" }: Occurrence): boolean {
  const [path = ""] = call.paths;
  if (/(^|\/)ingest(\/#\.record)?$/.test(path) || path === "native") return true;
  if (path.startsWith("native/metadata.db") && ["commit the snapshot", "delete the image"].includes(after)) return true;
  return ["open", "commit what is there", "collect"].includes(after);
}
const small = testBlob("small", 500_000);
const large = testBlob("large", 6_000_000);

/** A directory with a file system of its own in memory, of a limited size. */
async function limitedDirectory(
  options: string,
): Promise<{ readonly root: string; remount(how: string): Promise<void> } & AsyncDisposable> {
  const directory = await temporaryDirectory();
  const { path } = directory;
  await exec("mount", ["-t", "tmpfs", "-o", options, "none", path]);
  return {
    root: join(path, "store"),
    remount: async (how) => void (await exec("mount", ["-o", `remount,${how}`, path])),
    async [Symbol.asyncDispose]() {
      await unmount(path);
      await directory[Symbol.asyncDispose]();
    },
  };
}

async function failureOf(call: Promise<unknown>): Promise<{ code?: string; message: string }> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Error) return error;
  throw new Error("it did not fail");
}

describe.skipIf(missing !== undefined)(
  `errors of the system (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test.each(scenarios)(
      "at any single call that changes %s are told as they are, and the next process succeeds",
      { timeout },
      async (scenario) => {
        await using directory = await temporaryDirectory();
        const { failures, problems } = await failEverywhere(scenario, directory.path, { mayIgnore, every: 40 });
        const told = failures.filter(({ failure }) => failure !== undefined);
        process.stdout.write(`errors, ${scenario}: ${failures.length}, of which ${told.length} ended the work\n`);
        expect(problems).toEqual([]);
        // What is short of descriptors may wait for others to be closed.
        const all = ["ENOSPC", "EIO", "EDQUOT", "EROFS"];
        expect([...new Set(told.map(({ error }) => error))]).toEqual(expect.arrayContaining(all));
      },
    );

    test.each(scenarios)(
      "with few descriptors %s is worked on to the end, or says that there are too few",
      { timeout },
      async (scenario) => {
        await using directory = await temporaryDirectory();
        const bench = new Bench(scenario, directory.path);
        await bench.prepare();
        const ends: string[] = [];
        // More each time, until there are enough.
        for (let more = 0; ends.at(-1) !== "done"; more += rounds(1, 3)) {
          const onStart = async ({ pid }: { readonly pid?: number | undefined }): Promise<void> => {
            const open = (await readdir(`/proc/${pid}/fd`)).length;
            await exec("prlimit", ["--pid", String(pid), `--nofile=${open + more}`]);
          };
          const { outcome, problems } = await bench.run("limited", { onStart }, "kill");
          ends.push(outcome.end);
          if (outcome.failure !== undefined) problems.push(...flaws(outcome.failure));
          expect(problems, `${more} descriptors`).toEqual([]);
          expect(more, "descriptors").toBeLessThan(mostDescriptors);
        }
        expect(new Set(ends)).toEqual(new Set(["failed", "done"]));
      },
    );

    test("a full disk ends an ingest with its reason, what is stored can be read and removed, and with room the ingest goes on", async () => {
      await using disk = await limitedDirectory("size=3m");
      {
        await using store = await openContentStore({ root: disk.root });
        await put(store, "small", small);
        const failure = await failureOf(put(store, "large", large));
        expect(failure).toMatchObject({ code: "ENOSPC", message: expect.stringMatching(/large|[0-9a-f]{64}/) });
      }
      await bash('cat /dev/zero >"$1/filler" || true', [join(disk.root, "..")]);
      await using store = await openContentStore({ root: disk.root });
      await mustHave(store, small);
      const { offset } = await store.status("large");
      expect(offset).toBeGreaterThan(1_000_000);
      await store.delete(small.expected.digest);
      await disk.remount("size=30m");
      await put(store, "large", large);
      await mustHave(store, large);
    });

    test("a disk that is gone is told as such by every call", async () => {
      await using directory = await temporaryDirectory();
      const image = join(directory.path, "disk.img");
      await makeImage(image);
      await withImage(image, join(directory.path, "disk"), async (disk) => {
        const store = await openContentStore({ root: join(disk.path, "store") });
        await put(store, "small", small);
        const held = await store.writer("held");
        await (
          await disk.arm()
        )(0);
        try {
          for (const call of [
            () => store.writer("large", { expected: large.expected }),
            () => store.writer("small again"),
            () => store.delete(small.expected.digest),
            () => held.commit(),
          ]) {
            const failure = await failureOf(call());
            expect(["EIO", "ERR_DATA_LOSS"]).toContain(failure.code);
            expect(flaws(failure)).toEqual([]);
          }
        } finally {
          await store.close().catch(() => undefined);
        }
      });
    });

    test("an ingest can be aborted on a full disk", async () => {
      await using disk = await limitedDirectory("size=3m");
      await using store = await openContentStore({ root: disk.root });
      expect(await failureOf(put(store, "large", large))).toMatchObject({ code: "ENOSPC" });
      await store.abort("large");
      await put(store, "small", small);
      await mustHave(store, small);
    });

    test("a disk without inodes ends an ingest with its reason, and a blob less makes room for another", async () => {
      await using disk = await limitedDirectory("nr_inodes=24");
      await using store = await openContentStore({ root: disk.root });
      const stored: ReturnType<typeof testBlob>[] = [];
      let failure: unknown;
      for (let index = 0; failure === undefined; index += 1) {
        const blob = testBlob(`blob ${index}`, 100);
        failure = await put(store, `blob ${index}`, blob).then(
          () => void stored.push(blob),
          (error: unknown) => error,
        );
      }
      expect(failure).toMatchObject({ code: "ENOSPC" });
      expect(stored.length).toBeGreaterThan(5);
      await mustBeWhole(store);
      for (const { expected } of stored.splice(0, 5)) await store.delete(expected.digest);
      await put(store, "small", small);
      for (const blob of [...stored, small]) await mustHave(store, blob);
    });

    test("a store on a disk that became read-only can be opened and read, and says what it cannot do", async () => {
      await using disk = await limitedDirectory("size=9m");
      {
        await using store = await openContentStore({ root: disk.root });
        await put(store, "small", small);
        const writer = await store.writer("half");
        await writer.write(small.bytes.subarray(0, 1000));
        await writer.close();
      }
      await disk.remount("ro");
      {
        await using store = await openContentStore({ root: disk.root });
        const descriptor = { mediaType: "application/octet-stream", ...small.expected };
        expect(Buffer.from(await readBlob(store, descriptor)).equals(small.bytes)).toBe(true);
        expect((await store.status("half")).offset).toBe(1000);
        for (const call of [
          () => store.writer("large", { expected: large.expected }),
          () => store.writer("half"),
          () => store.delete(small.expected.digest),
          () => store.abort("half"),
        ]) {
          const failure = await failureOf(call());
          expect(failure).toMatchObject({ code: "EROFS" });
          expect(flaws(failure)).toEqual([]);
        }
      }
      await disk.remount("rw");
      await using store = await openContentStore({ root: disk.root });
      await put(store, "half", small);
      await put(store, "large", large);
      await mustHave(store, large);
    });
  },
);
