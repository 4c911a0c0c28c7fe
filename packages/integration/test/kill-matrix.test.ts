import { temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { before, justAfter, killEverywhere } from "../src/faults/kill-matrix.ts";
import type { Kill } from "../src/faults/kill-matrix.ts";
import { whyNoFaults } from "../src/faults/missing.ts";
import { rounds } from "../src/rounds.ts";

const missing = await whyNoFaults(["strace"]);
/** When it hangs: two minutes on a quiet machine when thorough. */
const timeout = 1_800_000;
/** Of the calls of each kind. */
const every = 32;
const kills: Kill[] = [];
let kinds = 0;

async function expectSurvival(scenario: string): Promise<void> {
  await using directory = await temporaryDirectory();
  const matrix = await killEverywhere(scenario, directory.path, { every, rows: rows.map(([, isIt]) => isIt) });
  kills.push(...matrix.kills);
  kinds += matrix.kinds;
  process.stdout.write(`kills, ${scenario}: ${matrix.kills.length} of ${matrix.kinds} kinds\n`);
  expect(matrix.problems).toEqual([]);
  // On to a run that nothing was left to be killed in.
  expect(matrix.survived).toBeGreaterThanOrEqual(matrix.beyond);
}

const data = /(^|\/)ingest\/#\.\*$/;
const record = /(^|\/)ingest\/#\.record(\.new)?$/;
const blob = /(^|\/)blobs\/sha\d+\/#$/;
const blobs = /(^|\/)blobs\/sha\d+$/;
const log = /^metadata\.db-wal$/;

/** The rows of the kill matrix (faults.md 3.2), each by the call that a process was killed right before. */
const rows: readonly (readonly [row: string, isIt: (kill: Kill) => boolean])[] = [
  ["K01 an ingest has its data file and no record", before(/^open/, record)],
  ["K02 its record is empty", before(/^p?write/, record)],
  ["K02 its next record is whole, and not in its place", before(/^rename/, record)],
  ["K03 data is about to be appended", before(/^p?write/, data)],
  ["K04 data is about to be synced", before(/^fdatasync$/, data)],
  ["K05 data is synced and verified", before(/^fchmod$/, data)],
  ["K05 data is about to become a blob, K19 under the lock of the store", before(/^rename/, blob)],
  ["K06 a blob is visible, its directory is not synced", before(/^fsync$/, blobs)],
  ["K06 the directory is new, and itself not synced", before(/^fsync$/, /(^|\/)blobs$/)],
  ["K07 a blob is durable, and has no record", justAfter(/./, record, before(/^pwrite/, log))],
  ["K08 a blob is durable, and its ingest still there", before(/^unlink/, record)],
  ["K14 an image is about to be recorded", before(/^pwrite|^f(data)?sync/, log, "prepare and remove")],
  ["K14 a tag is about to be moved", before(/^pwrite|^f(data)?sync/, log, "create the image")],
  ["K14 an image is about to be deleted", before(/^pwrite|^f(data)?sync/, log, "update the image")],
  [
    "K15 a snapshot has no record, and its directory is there",
    before(/^rename/, /^native\/rm-/, "commit the snapshot"),
  ],
  [
    "K15 the directory of a snapshot is being removed",
    before(/^(unlink|rmdir)/, /^native\/rm-/, "commit the snapshot"),
  ],
  ["K16 the collector has marked, and is about to forget", before(/^pwrite|^f(data)?sync/, log, "delete the lease")],
  ["K16 the collector is about to delete a blob", before(/^unlink/, blob, "delete the lease")],
  ["K16 the collector is removing a snapshot", before(/^(unlink|rmdir)/, /^native\/rm-/, "delete the lease")],
  ["K19 a process holds the lock of the metadata", before(/^fsync$/, log)],
  ["a label is being changed", before(/^pwrite|^f(data)?sync/, log, "share a blob")],
  ["a lease is being made", before(/^pwrite|^f(data)?sync/, log, "open")],
];

describe.skipIf(missing !== undefined)(
  `a process killed before any single call that changes its store (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test(
      "leaves a content store in which the next one does the same work: nothing lost, nothing left over",
      { timeout },
      () => expectSurvival("content"),
    );

    test(
      "leaves records, blobs and snapshots in which the next one does the same work: nothing lost, nothing left over",
      { timeout },
      () => expectSurvival("metadata"),
    );

    test.each(rows)("%s", (_row, isIt) => {
      expect(kills.filter(isIt)).not.toEqual([]);
    });

    test("was killed more than 300 times when thorough, and else more often than there are kinds of calls", () => {
      process.stdout.write(`kills in all: ${kills.length}\n`);
      expect(kills.length).toBeGreaterThan(rounds(300, kinds));
    });
  },
);
