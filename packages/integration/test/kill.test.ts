import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { varve } from "../src/command.ts";
import type { CommandRun } from "../src/command.ts";
import { startCuttingProxy } from "../src/cutting-proxy.ts";
import type { CuttingProxy } from "../src/cutting-proxy.ts";
import { chooseSeed, randomFrom } from "../src/faults/random.ts";
import { environment } from "../src/images-under-test.ts";
import { rounds } from "../src/rounds.ts";

const { missing } = environment;
const seed = chooseSeed();
/** How many are killed while the image comes, and when nearly all of it is there. */
const [transfers, ends] = [rounds(14, 3), rounds(6, 1)];
/** Of what a registry sends for the image. */
const nearlyAll = 0.98;

describe.skipIf(missing !== undefined)(
  `a killed pull (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test(`at a random place of its transfer (${transfers} times) or moment near its end (${ends}) leaves a store that works, and after the next pull and a collection nothing but the one chain (VARVE_SEED=${seed})`, async () => {
      const random = randomFrom(seed);
      const whole = await measurePull();
      for (let round = 0; round < transfers; round += 1) {
        const place = ((round + random()) / transfers) * nearlyAll * whole.bytes;
        // What comes behind the place has not been sent, so it cannot have come to its end.
        expect(await killAt(place, (kill) => kill()), `place ${place}`).toBe("killed");
      }
      for (let round = 0; round < ends; round += 1) {
        const wait = (random() * whole.milliseconds) / 2;
        // How far it is by then, and whether it is done, nobody can know.
        await killAt(nearlyAll * whole.bytes, (kill) => void setTimeout(kill, wait));
      }
    });
  },
);

function pull(root: string, { host }: CuttingProxy, onStart?: (kill: () => void) => void): Promise<CommandRun> {
  const args = ["pull", "--json", "--progress=none", `--root=${root}`, `${host}/app:oci-gzip`];
  return varve(args, onStart === undefined ? {} : { onStart });
}

/** How much is sent for one, and how long it takes. */
async function measurePull(): Promise<{ readonly bytes: number; readonly milliseconds: number }> {
  await using directory = await temporaryDirectory();
  await using proxy = await startCuttingProxy(environment.registry, Number.POSITIVE_INFINITY);
  const startedAt = performance.now();
  const { status, stderr } = await pull(join(directory.path, "store"), proxy);
  expect(status, stderr).toBe(0);
  return { bytes: proxy.sent, milliseconds: performance.now() - startedAt };
}

/** Lets `end` kill a pull, from when so much of the image was sent to it, and looks at what the next one makes of it. */
async function killAt(sent: number, end: (kill: () => void) => void): Promise<"killed" | "done"> {
  await using directory = await temporaryDirectory();
  await using proxy = await startCuttingProxy(environment.registry, Number.POSITIVE_INFINITY);
  const root = join(directory.path, "store");
  const first = await pull(root, proxy, (kill) => proxy.cutAt(sent, () => end(kill)));
  const again = await pull(root, proxy);
  expect(again, again.stderr).toMatchObject({ status: 0 });
  expect(await varve(["gc", `--root=${root}`])).toMatchObject({ status: 0 });
  await expectOneChain(root, JSON.parse(again.stdout));
  return first.status === undefined ? "killed" : "done";
}

interface Pulled {
  readonly target: { readonly digest: string };
  readonly layers: readonly { readonly chainId: string; readonly digest: string }[];
}

/** In the records of the store and in its directories. */
async function expectOneChain(root: string, pulled: Pulled): Promise<void> {
  const chain = pulled.layers.map(({ chainId }) => chainId).toSorted();
  const { snapshots } = JSON.parse((await varve(["snapshots", "ls", "--json", `--root=${root}`])).stdout);
  expect(snapshots.map(({ name }: { name: string }) => name).toSorted()).toEqual(chain);
  expect(new Set(snapshots.map(({ kind }: { kind: string }) => kind))).toEqual(new Set(["committed"]));
  const directories = (await readdir(join(root, "snapshots/overlay"))).filter(
    (name) => !name.startsWith("metadata.db"),
  );
  expect(directories).toHaveLength(chain.length);

  const { blobs } = JSON.parse((await varve(["content", "ls", "--json", `--root=${root}`])).stdout);
  const { ingests } = JSON.parse((await varve(["content", "ingests", "--json", `--root=${root}`])).stdout);
  expect(ingests).toEqual([]);
  // The layers, the config and the manifest.
  expect(blobs).toHaveLength(chain.length + 2);
  const left = (await readdir(join(root, "content/ingest"))).filter((name) => name !== "lock");
  expect(left).toEqual([]);
}
