import { resolve } from "node:path";
import { applyLayers, parseIdMappings } from "@varve/client";
import type { AppliedLayer, ApplyLayersOptions, DifferLimits } from "@varve/client";
import { UsageError } from "../exit-code.ts";
import { formatBytes, formatCount } from "../format.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { withLayers } from "./layer-source.ts";
import type { LayerSource } from "./layer-source.ts";

interface ApplyOptions {
  readonly ownership?: "keep" | "record" | "skip";
  readonly uidMap?: readonly string[];
  readonly gidMap?: readonly string[];
  readonly limit?: DifferLimits;
}

export async function applyLayerFiles(words: readonly string[], run: CommandRun<ApplyOptions>): Promise<void> {
  const { options, signal } = run;
  const directory = words.at(-1);
  const names = words.slice(0, -1);
  if (directory === undefined || names.length === 0) throw new UsageError("layer apply: needs a layer and a directory");
  const { limit: limits, ownership } = options;
  const writing = { ownership, limits, idMappings: idMappings(options), signal };
  const apply = (sources: readonly LayerSource[]): Promise<AppliedLayer[]> =>
    applyLayers(
      sources.map(({ name, open }) => ({ name, bytes: open() })),
      resolve(directory),
      writing,
    );
  const layers = await withLayers(names, run, apply);
  await printResult(options.json, { layers }, () => layers.map(line));
}

/** Of one kind alone, the other one is the same, as with podman. */
function idMappings({ gidMap, uidMap }: ApplyOptions): ApplyLayersOptions["idMappings"] {
  const [uid, gid] = [uidMap ?? gidMap, gidMap ?? uidMap];
  if (uid === undefined || gid === undefined) return undefined;
  return { uid: parseIdMappings(uid.join(",")), gid: parseIdMappings(gid.join(",")) };
}

function line({ diffId, entries, size, skipped }: AppliedLayer): string {
  const left = [
    [skipped.devices, "device"],
    [skipped.owners, "owner"],
    [skipped.xattrs, "attribute"],
  ] as const;
  const leftOut = left.flatMap(([count, what]) => (count > 0 ? [formatCount(count, what)] : []));
  const told = `${diffId} ${formatCount(entries, "entry", "entries")} ${formatBytes(size)}`;
  return leftOut.length === 0 ? told : `${told} (left out: ${leftOut.join(", ")})`;
}
