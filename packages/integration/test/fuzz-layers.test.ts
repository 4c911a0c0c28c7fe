import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { exec } from "@varve-tools/corpus";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chooseSeed } from "../src/faults/random.ts";
import { fingerprint } from "../src/fingerprint.ts";
import { environment } from "../src/images-under-test.ts";
import type { FuzzSummary, FuzzTarget } from "../src/layers/fuzz.ts";
import { headersOf } from "../src/layers/headers-of.ts";
import { layerBlobs } from "../src/layers/layer-blobs.ts";
import { rounds } from "../src/rounds.ts";

const { missing } = environment;
const program = join(import.meta.dirname, "../src/layers/fuzz.ts");
/** More seconds than this without a word is a hang: it says something after every hundred archives. */
const patience = 240;

let directory = "";
const tars: string[] = [];

beforeAll(async () => {
  if (missing !== undefined) return;
  directory = mkdtempSync(join(tmpdir(), "varve-fuzz-"));
  for (const [index, blob] of (await layerBlobs(environment.corpus.app)).entries()) {
    tars.push(join(directory, `${index}.tar`));
    writeFileSync(tars.at(-1) ?? "", headersOf(blob));
  }
});

afterAll(() => {
  if (directory !== "") rmSync(directory, { recursive: true, force: true });
});

async function fuzz(target: FuzzTarget, bytes: number, place: string): Promise<FuzzSummary> {
  const seed = chooseSeed();
  process.stdout.write(`${target}: VARVE_SEED=${seed}\n`);
  const args = ["--expose-gc", program, target, String(bytes), String(seed), place, ...tars];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), patience * 1000);
  child.stderr.on("data", () => timer.refresh());
  const said = Promise.all([text(child.stdout), text(child.stderr)]);
  const [status] = await once(child, "close");
  clearTimeout(timer);
  const [stdout, stderr] = await said;
  expect(status, `it crashed, or hung: ${stderr.slice(-2000)}`).toBe(0);
  const summary = JSON.parse(stdout) as FuzzSummary;
  process.stdout.write(`${stdout}\n`);
  return summary;
}

describe.skipIf(missing !== undefined)(
  `bytes changed in real layers (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test.each([
      { target: "reader", bytes: rounds(8_500_000, 1_000_000) },
      { target: "directory", bytes: rounds(750_000, 100_000) },
      { target: "overlay", bytes: rounds(750_000, 100_000) },
    ] as const)(
      "$bytes of them, $target: refused or taken, with nothing outside changed, nothing left open and no more memory",
      async ({ target, bytes }) => {
        const place = join(directory, target);
        const canary = join(place, "above/beside");
        mkdirSync(place);
        // In memory, or it would be the disk that is tried.
        await exec("mount", ["-t", "tmpfs", "none", place]);
        try {
          mkdirSync(canary, { recursive: true });
          writeFileSync(join(canary, "file"), "canary");
          const before = fingerprint(canary);
          const summary = await fuzz(target, bytes, place);
          expect(summary.wrong).toEqual([]);
          expect(summary.bytes).toBeGreaterThanOrEqual(bytes);
          expect(summary.descriptors).toBe(0);
          const [early, peak] = summary.memory;
          expect(peak).toBeLessThan(early + 100);
          expect(fingerprint(canary)).toEqual(before);
          // It has come so far that there was something to do.
          expect(summary.entries).toBeGreaterThan(summary.archives);
          expect(summary.ends["done"]).toBeGreaterThan(summary.archives / 100);
        } finally {
          await exec("umount", [place]);
        }
      },
    );
  },
);
