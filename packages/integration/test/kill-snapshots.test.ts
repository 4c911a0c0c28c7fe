import { temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { before, justAfter, killEverywhere } from "../src/faults/kill-matrix.ts";
import type { Kill } from "../src/faults/kill-matrix.ts";
import { whyNoFaults } from "../src/faults/missing.ts";

const missing = await whyNoFaults(["strace"]);
/** Not how long it may take, but when it hangs: three minutes on a quiet machine when thorough. */
const timeout = 1_800_000;
/** Of the calls of each kind. */
const every = 8;
const kills: Kill[] = [];

const staged = /^overlay\/new-[^/]+$/;
const place = /^overlay\/\d+$/;
const trash = /^overlay\/rm-/;
const log = /^overlay\/metadata\.db-wal$/;
const copy = /^native\/new-[^/]+\/fs\//;
const root = /^(overlay|native)$/;

/** The rows of the kill matrix on snapshots (faults.md 3.2), each by the call that a process was killed right before. */
const rows: readonly (readonly [row: string, isIt: (kill: Kill) => boolean])[] = [
  ["K09 a new directory is empty", before(/^mkdir/, /^overlay\/new-[^/]+\/fs$/)],
  ["K09 a new directory has fs, and no work", before(/^mkdir/, /^overlay\/new-[^/]+\/work$/)],
  ["K09 a new directory is whole, and not in its place", before(/^rename/, staged)],
  ["K09 a directory is in its place, and has no record", justAfter(/^rename/, place, before(/^pwrite/, log))],
  ["K09 the transaction of a prepare is about to be synced", before(/^f(data)?sync$/, log, "open")],
  ["K09 a snapshot is prepared, and empty", before(/^mkdir/, /^overlay\/\d+\/fs\/made 0$/)],
  [
    "K09 a copy of the parent is half made",
    ({ thread, call }) => thread === "worker" && copy.test(call.paths[0] ?? ""),
  ],
  ["K10 a layer is half written", before(/^write/, /^overlay\/\d+\/fs\/made 0\/file$/)],
  ["K11 a layer is written, and not synced", before(/^syncfs$/, root, "prepare")],
  ["K11 a layer on another is written, and not synced", before(/^syncfs$/, root, "prepare on it")],
  ["K11 a layer is synced, and not committed", before(/^pwrite/, log, "prepare")],
  ["K12 a commit is about to be synced", before(/^f(data)?sync$/, log, "prepare")],
  ["K12 a layer is committed", before(/^mkdir/, staged, "commit")],
  ["K15 a snapshot has no record, and its directory is there", before(/^rename/, trash, "remove the view")],
  ["K15 the directory of a snapshot is being removed", before(/^(unlink|rmdir)/, trash, "remove the view")],
  ["K15 a snapshot is about to be removed, and its directory later", before(/^pwrite/, log, "remove")],
  ["K15 a cleanup moves a directory aside", before(/^rename/, trash, "remove later")],
  ["K15 a cleanup removes a directory", before(/^(unlink|rmdir)/, trash, "remove later")],
  ["K18 something is about to be mounted", before(/^move_mount$/, /^mounts\/varve-mount-/)],
  ["K18 something is mounted", ({ call }) => call.name === "umount2"],
  ["K18 something was unmounted", before(/^rmdir$/, /^mounts\/varve-mount-/)],
  ["a snapshot is about to get its parent", before(/^pwrite/, log, "commit on it")],
  ["labels are about to be changed", before(/^pwrite/, log, "view")],
];

describe.skipIf(missing !== undefined)(
  `a process killed before any single call that changes its snapshots or mounts (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test.each(["overlay", "native", "mounts"])(
      "(%s): what was committed is whole, the next process does the same work, and nothing is left over",
      { timeout },
      async (backend) => {
        await using directory = await temporaryDirectory();
        const matrix = await killEverywhere(backend, directory.path, { every, rows: rows.map(([, isIt]) => isIt) });
        kills.push(...matrix.kills);
        process.stdout.write(`kills, ${backend}: ${matrix.kills.length} of ${matrix.kinds} kinds\n`);
        expect(matrix.problems).toEqual([]);
        // On to a run that nothing was left to be killed in.
        expect(matrix.survived).toBeGreaterThanOrEqual(matrix.beyond);
      },
    );

    test.each(rows)("%s", (_row, isIt) => {
      expect(kills.filter(isIt)).not.toEqual([]);
    });
  },
);
