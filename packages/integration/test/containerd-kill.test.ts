import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { missingPrograms, temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { directoriesOf, leaksOf, leaksOfContainerd } from "../src/containerd/leaks.ts";
import { listedSnapshots } from "../src/containerd/listed-snapshots.ts";
import type { ListedSnapshot } from "../src/containerd/listed-snapshots.ts";
import { startPluginProcess } from "../src/containerd/plugin-process.ts";
import type { PluginProcess } from "../src/containerd/plugin-process.ts";
import { ourSnapshotters, placesIn, servePlugin } from "../src/containerd/snapshot-plugin.ts";
import type { OurSnapshotter } from "../src/containerd/snapshot-plugin.ts";
import { startContainerd } from "../src/containerd/started-containerd.ts";
import type { StartedContainerd } from "../src/containerd/started-containerd.ts";
import { chooseSeed, randomFrom } from "../src/faults/random.ts";
import { environment } from "../src/images-under-test.ts";
import { pushTallImage } from "../src/many-images.ts";
import { rounds } from "../src/rounds.ts";

const absent = await missingPrograms(["containerd", "ctr"]);
const missing = environment.missing ?? (absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`);
const seed = chooseSeed();
const count = rounds(50, 10);

describe.skipIf(missing !== undefined)(
  `a pull into our snapshotters (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test.each(ourSnapshotters)(
      `%s: the plugin or containerd killed in it ${count} times: both come back, the next pull succeeds, nothing is left after it was removed (P-ACC.5, VARVE_SEED=${seed})`,
      async (snapshotter) => {
        await using box = await temporaryDirectory();
        const { reference } = await pushTallImage(environment.registry, `killed/${snapshotter}`, 8);
        await using plugin = await startPluginProcess(box.path);
        const { address } = placesIn(box.path);
        const proxies = [{ name: snapshotter, type: "snapshot", address }] as const;
        await using containerd = await startContainerd({ directory: join(box.path, "containerd"), proxies });
        const scene = { directory: box.path, snapshotter, reference, plugin, containerd };
        const whole = await pullWhole(scene);
        const random = randomFrom(seed);
        const ends: string[] = [];
        for (let round = 0; round < count; round += 1) {
          const moment = ((Math.floor(round / 2) + random()) / Math.ceil(count / 2)) * whole.milliseconds;
          const victim = round % 2 === 0 ? "plugin" : "containerd";
          ends.push(await killAt(scene, victim, moment));
          expect(await pullAndRemove(scene), `${victim} killed after ${Math.round(moment)} ms`).toEqual(whole.chain);
        }
        // Else all of them came too late to do harm.
        expect(ends).toContain("failed");
        expect(await plugin.stop()).toBe(0);
        await using reopened = await servePlugin(box.path);
        expect(await leaksOf(reopened.snapshotters[snapshotter], placesIn(box.path)[snapshotter])).toEqual([]);
      },
    );
  },
);

interface Scene {
  readonly directory: string;
  readonly snapshotter: OurSnapshotter;
  readonly reference: string;
  readonly plugin: PluginProcess;
  readonly containerd: StartedContainerd;
}

function pull({ containerd, snapshotter, reference }: Scene): Promise<string> {
  return containerd.ctr("images", "pull", "--plain-http", "--snapshotter", snapshotter, reference);
}

/** What a pull makes, and how long it takes. */
async function pullWhole(scene: Scene): Promise<{ readonly chain: ListedSnapshot[]; readonly milliseconds: number }> {
  await pullAndRemove(scene);
  const startedAt = performance.now();
  await pull(scene);
  const milliseconds = performance.now() - startedAt;
  const chain = await pullAndRemove(scene);
  expect(chain).toHaveLength(8);
  return { chain, milliseconds };
}

/** Says how the pull ended. */
async function killAt(scene: Scene, victim: "plugin" | "containerd", moment: number): Promise<"failed" | "done"> {
  const pulled = pull(scene).then(
    () => "done" as const,
    () => "failed" as const,
  );
  await sleep(moment);
  await scene[victim].kill();
  // At once: to write, ctr tries again and again, and would wait for containerd for ever.
  await scene[victim].start();
  const end = await pulled;
  await untilConnected(scene);
  return end;
}

/** containerd connects to a plugin again when it has waited a while: three seconds at most. */
async function untilConnected({ containerd, snapshotter }: Scene): Promise<void> {
  const snapshots = (...args: readonly string[]): Promise<string> =>
    containerd.ctr("snapshots", "--snapshotter", snapshotter, ...args);
  for (;;) {
    try {
      await snapshots("prepare", "probe");
      break;
    } catch (error) {
      if (!String(error).includes("unavailable")) throw error;
      await sleep(100);
    }
  }
  await snapshots("rm", "probe");
}

/** Gives what the pull has made, and throws if something of it is left in the end. */
async function pullAndRemove(scene: Scene): Promise<ListedSnapshot[]> {
  const { containerd, snapshotter, reference } = scene;
  const { ctr } = containerd;
  await pull(scene);
  // What a killed client was at stays until its lease ends.
  const chain = (await listedSnapshots(ctr, snapshotter)).filter(({ kind }) => kind === "Committed");
  await ctr("images", "rm", "--sync", reference);
  // A client that containerd was taken from cannot give its lease back, which is for a day.
  const leases = (await ctr("leases", "ls", "--quiet")).split("\n").filter((line) => line !== "");
  for (const lease of leases) await ctr("leases", "delete", lease);
  await containerd.collect();
  expect(await listedSnapshots(ctr, snapshotter)).toEqual([]);
  expect(await directoriesOf(placesIn(scene.directory)[snapshotter])).toEqual([]);
  expect(await ctr("content", "ls", "--quiet")).toBe("");
  expect(await leaksOfContainerd(join(scene.directory, "containerd"))).toEqual([]);
  return chain;
}
