import { once } from "node:events";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { treeFiles } from "@varve/archive";
import { expect, test } from "vitest";
import { Sandbox } from "./sandbox.ts";

const rounds = Number(process.env["VARVE_RACE_ROUNDS"] ?? 30) * 100;

test("a file behind links that go up is found while others rename, wherever on the system", async () => {
  using box = new Sandbox();
  const [root, beside] = [box.directory(), box.directory()];
  mkdirSync(join(root, "d"));
  writeFileSync(join(root, "d/f"), "found");
  symlinkSync("d/../".repeat(64), join(root, "up"));
  for (const name of ["a", "b"]) writeFileSync(join(beside, name), "");
  const stop = new Int32Array(new SharedArrayBuffer(8));
  const pairs = [[join(beside, "a"), join(beside, "b")]];
  const worker = new Worker(new URL("swap-worker.ts", import.meta.url), { workerData: { pairs, stop } });
  const exited = once(worker, "exit");
  const files = treeFiles(root);
  try {
    while (Atomics.load(stop, 1) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    for (let round = 0; round < rounds; round += 1) {
      const file = files.open(Buffer.from("up/d/f"));
      if (typeof file === "string") throw new Error(`the file ${file}`);
      expect(file.size).toBe(5);
      file.close();
    }
  } finally {
    files.close();
    Atomics.store(stop, 0, 1);
    await exited;
  }
});
