import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { createDiffer } from "@varve/differ";
import { expect, test } from "vitest";
import { inPieces, scene, tarOf } from "./scene.ts";

/** The nice values of this process's threads: proc(5), field 19 of `stat`, counted from behind the name. */
function niceValues(): readonly number[] {
  return readdirSync("/proc/self/task").map((task) => {
    const stat = readFileSync(`/proc/self/task/${task}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
  });
}

test.runIf(process.platform === "linux")(
  "the threads of a layer take second place, the one that asked for it does not",
  async () => {
    await using root = await scene();
    const own = Number(readFileSync("/proc/thread-self/stat", "utf8").split(") ")[1]?.split(" ")[16]);
    const before = niceValues().filter((nice) => nice === own + 5).length;
    const differ = createDiffer();
    await differ.applyStream(inPieces(gzipSync(await tarOf({ a: "a" })), 10), root.path);
    expect(niceValues().filter((nice) => nice === own + 5).length).toBeGreaterThanOrEqual(before + 2);
    expect(Number(readFileSync("/proc/thread-self/stat", "utf8").split(") ")[1]?.split(" ")[16])).toBe(own);
    await differ.close();
  },
);
