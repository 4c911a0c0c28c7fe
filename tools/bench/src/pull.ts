import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildCorpus, exec, missingPrograms, pushCorpus, startDockerRegistry } from "@varve-tools/corpus";
import { containerdContender, floorContender, varveContender } from "./contenders.ts";
import type { Contender } from "./contenders.ts";
import type { Cost } from "./measure.ts";
import { isWanted } from "./options.ts";
import type { BenchOptions } from "./options.ts";
import { openStore } from "./store.ts";
import { formatResults } from "./table.ts";

/** Pulls an image with everything that can, and prints what that cost. */
export async function benchPull(asked: string, { runs = 5, only }: BenchOptions): Promise<void> {
  const missing = await missingPrograms(["curl", "openssl", "jq", "mkfs.ext4", "losetup", "/usr/bin/time"]);
  if (process.geteuid?.() !== 0) throw new Error("bench: needs root, to make a file system for each run");
  if (missing.length > 0) throw new Error(`bench: not installed: ${missing.join(", ")}`);
  const kept = process.env["VARVE_CORPUS"];
  const directory = await mkdtemp(join(tmpdir(), "varve-bench-"));
  const served = asked.includes("/") ? undefined : await serve(kept ?? join(directory, "corpus"));
  const reference =
    served === undefined ? asked : `${served.host}/${asked.includes(":") ? asked : `${asked}:oci-gzip`}`;
  try {
    const store = await openStore(directory, 8);
    try {
      const contenders = (await available()).filter(({ name }) => isWanted(name, only));
      console.log(formatResults(asked, await rounds(contenders, reference, store, runs)));
    } finally {
      await store.close();
    }
  } finally {
    await served?.close();
    await rm(directory, { recursive: true, force: true });
  }
}

async function serve(directory: string) {
  await mkdir(directory, { recursive: true });
  const corpus = await buildCorpus(directory);
  const registry = await startDockerRegistry();
  try {
    await pushCorpus(corpus, registry.host);
  } catch (error) {
    await registry.close();
    throw error;
  }
  return registry;
}

async function available(): Promise<Contender[]> {
  const gunzips = ["igzip", "pigz", "gzip"];
  const missing = await missingPrograms([...gunzips, "containerd", "ctr"]);
  const [gunzip = "gzip"] = gunzips.filter((name) => !missing.includes(name));
  const contenders = [
    varveContender("overlay"),
    varveContender("native"),
    floorContender(gunzip, 1),
    floorContender(gunzip, 2),
  ];
  if (missing.includes("containerd") || missing.includes("ctr")) return contenders;
  const { stdout } = await exec("containerd", ["--version"]);
  const version = /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? "";
  // Versions before 2.0 know unpigz only.
  const helpers = Number(version.split(".")[0]) >= 2 ? ["igzip", "unpigz"] : ["unpigz"];
  const absent = await missingPrograms(helpers);
  return [
    ...contenders,
    containerdContender(
      version,
      helpers.find((helper) => !absent.includes(helper)),
    ),
  ];
}

/** Round by round, every contender once, so that what else the machine does strikes all alike. */
async function rounds(
  contenders: readonly Contender[],
  reference: string,
  store: Awaited<ReturnType<typeof openStore>>,
  runs: number,
): Promise<Map<string, Cost[]>> {
  const costs = new Map<string, Cost[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 1; round <= runs; round += 1) {
    for (const contender of contenders) {
      const cost = await contender.pull(reference, await store.fresh());
      costs.get(contender.name)?.push(cost);
      const figures = `${cost.wallSeconds.toFixed(2)} s, ${cost.cpuSeconds.toFixed(2)} s CPU`;
      console.error(`round ${round}: ${contender.name}: ${figures}, ${cost.peakMegabytes.toFixed(0)} MB`);
    }
  }
  return costs;
}
