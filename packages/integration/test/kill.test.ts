import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { varve } from "../src/command.ts";
import { environment } from "../src/images-under-test.ts";

const { missing } = environment;
const rounds = 20;

describe.skipIf(missing !== undefined)(
  `a killed pull (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test(`at ${rounds} random moments leaves a store that works, and after the next pull and a collection nothing but the one chain`, async () => {
      const reference = `${environment.registry}/app:oci-gzip`;
      let whole = await timeOfOnePull(reference);
      let killed = 0;
      for (let round = 0; round < rounds; round += 1) {
        await using directory = await temporaryDirectory();
        const root = join(directory.path, "store");
        const pull = ["pull", "--json", "--progress=none", `--root=${root}`, reference];
        const startedAt = performance.now();
        const { status } = await varve(pull, { killAfter: Math.random() * whole });
        if (status === undefined) killed += 1;
        // The first pull may have been slow: the moments are to lie within a pull.
        else whole = Math.min(whole, performance.now() - startedAt);
        const again = await varve(pull);
        expect(again, `round ${round}`).toMatchObject({ status: 0 });
        expect(await varve(["gc", `--root=${root}`]), `round ${round}`).toMatchObject({ status: 0 });
        await expectOneChain(root, JSON.parse(again.stdout));
      }
      expect(killed).toBeGreaterThan(rounds / 3);
    });
  },
);

async function timeOfOnePull(reference: string): Promise<number> {
  await using directory = await temporaryDirectory();
  const startedAt = performance.now();
  const { status, stderr } = await varve([
    "pull",
    "--progress=none",
    `--root=${join(directory.path, "store")}`,
    reference,
  ]);
  expect(status, stderr).toBe(0);
  return performance.now() - startedAt;
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
