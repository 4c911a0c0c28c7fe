import type { Client, Explanation } from "@varve/client";
import { isDigest, parseDigest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import { formatTable } from "../format.ts";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { itemTypes } from "../item-types.ts";
import type { ItemType } from "../item-types.ts";
import { snapshotterNames } from "../snapshotter-names.ts";
import { imageNames } from "./find-image.ts";
import { itemType } from "./item-name.ts";

/** What somebody may mean. */
type Candidate = Parameters<Client["why"]>[0];

interface ExplainOptions {
  readonly type?: ItemType;
  readonly snapshotter?: string;
}

/** Why a thing is here, or goes (G-41, G-72). */
export async function explain(name: string, { options, signal }: CommandRun<ExplainOptions>): Promise<void> {
  if (options.type === "content") parseDigest(name);
  const wanted = candidates(name, options);
  const explanations = await withClient(options, (client) => explainEach(client, wanted, signal));
  if (explanations.length === 0) {
    const types = options.type ?? "content, snapshot, image, lease or ingest";
    throw new CodedError("ERR_NOT_FOUND", `${name}: no such ${types} in namespace ${options.namespace ?? "default"}`);
  }
  await printResult(options.json, { explanations }, () => explanations.flatMap(lines));
}

/** Everything that `name` can be. A layer that is not compressed is content and snapshot under one digest. */
export function candidates(name: string, { snapshotter, type }: ExplainOptions = {}): readonly Candidate[] {
  const snapshotters = snapshotter === undefined ? snapshotterNames : [snapshotter];
  const all: readonly Candidate[] = itemTypes.flatMap((one): readonly Candidate[] => {
    if (one === "content") return isDigest(name) ? [{ type: one, id: name }] : [];
    if (one === "snapshot") return snapshotters.map((each) => ({ type: one, snapshotter: each, id: name }));
    // Lists print the very name, so it is what is meant if there is one.
    if (one === "image") return imageNames(name).map((id) => ({ type: one, id }));
    return [{ type: one, id: name }];
  });
  return type === undefined ? all : all.filter((candidate) => candidate.type === type);
}

/** What the store says to each; what it does not have is left out. */
export async function explainEach(
  client: Pick<Client, "why">,
  wanted: readonly Candidate[],
  signal: AbortSignal,
): Promise<Explanation[]> {
  const found: Explanation[] = [];
  for (const candidate of wanted) {
    try {
      found.push(await client.why(candidate, { signal }));
    } catch (error) {
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    }
  }
  return found;
}

function lines({ path, summary }: Explanation): string[] {
  const steps = path.map((step) => [itemType(step.item), step.item.id, step.by]);
  return [summary, ...formatTable(steps).map((line) => `  ${line}`)];
}
