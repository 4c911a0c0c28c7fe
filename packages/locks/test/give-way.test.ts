import { once } from "node:events";
import { getPriority } from "node:os";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";

const linux = process.platform === "linux";
const source = new URL("../src/give-way.ts", import.meta.url).href;

/** The nice values of a thread after each of `calls`, if `before` is done first. */
async function placesOf(calls: number, before = ""): Promise<readonly number[]> {
  const script = `const os = require("node:os");
    const { syncBuiltinESMExports } = require("node:module");
    const { parentPort } = require("node:worker_threads");
    const places = [];
    ${before}
    import(${JSON.stringify(source)}).then(({ giveWay }) => {
      for (let call = 0; call < ${calls}; call += 1) {
        giveWay();
        places.push(os.getPriority());
      }
      parentPort.postMessage(places);
    });`;
  const worker = new Worker(script, { eval: true });
  const [places] = await once(worker, "message");
  await worker.terminate();
  return places;
}

function below(places: number): number {
  return Math.min(getPriority() + places, 19);
}

test.skipIf(!linux)("a thread that gives way is behind the others of its process", async () => {
  const own = getPriority();
  expect(await placesOf(1)).toEqual([below(5)]);
  expect(getPriority()).toBe(own);
});

test.skipIf(!linux)("each time it goes further down, as far as there are places", async () => {
  const places = await placesOf(9);
  expect(places.slice(0, 2)).toEqual([below(5), below(10)]);
  expect(places.at(-1)).toBe(19);
});

test("where a place is that of the whole process, none is given up", async () => {
  const elsewhere = `Object.defineProperty(process, "platform", { value: "darwin" });`;
  expect(await placesOf(1, elsewhere)).toEqual([getPriority()]);
});

test("where it is forbidden, all stays as it is", async () => {
  const forbidden = `os.setPriority = () => { throw new Error("EPERM"); }; syncBuiltinESMExports();`;
  expect(await placesOf(1, forbidden)).toEqual([getPriority()]);
});
