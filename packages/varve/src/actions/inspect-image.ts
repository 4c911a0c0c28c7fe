import type { Client } from "@varve/client";
import { blobExists } from "@varve/content";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { childrenOf } from "@varve/images";
import type { ImageRecord } from "@varve/images";
import { formatPlatform, isAttestationManifest, isIndexType } from "@varve/oci";
import { formatBytes, formatTable } from "../format.ts";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { findImage } from "./find-image.ts";
import { imageDetail } from "./image-detail.ts";
import type { ImageDetail } from "./image-detail.ts";
import { platformMatcher } from "./platform-option.ts";

/** One image of an index. */
interface PlatformEntry {
  readonly platform: string;
  readonly digest: Digest;
  /** Whether its manifest is in the store. */
  readonly stored: boolean;
}

interface Inspected extends ImageRecord {
  /** Of an index. */
  readonly platforms?: readonly PlatformEntry[];
  /** Absent when there is nothing in the store for the platform of this machine. */
  readonly image?: ImageDetail;
}

export async function inspectImage(reference: string, { options, signal }: CommandRun): Promise<void> {
  const matcher = platformMatcher(options.platform);
  const inspected = await withClient(options, async (client): Promise<Inspected> => {
    const record = await findImage(client.images, reference, { signal });
    const platforms = await platformsOf(client, record, signal);
    try {
      return { ...record, ...platforms, image: await imageDetail(client, record, { matcher, signal }) };
    } catch (error) {
      // What was fetched for another platform only can be shown all the same.
      if (options.platform !== undefined || !hasCode(error, "ERR_NOT_FOUND")) throw error;
      return { ...record, ...platforms };
    }
  });
  await printResult(options.json, inspected, () => lines(inspected));
}

async function platformsOf(
  { content }: Client,
  { target }: ImageRecord,
  signal: AbortSignal,
): Promise<Pick<Inspected, "platforms">> {
  if (!isIndexType(target.mediaType)) return {};
  const platforms: PlatformEntry[] = [];
  for (const child of await childrenOf(content, target, { signal })) {
    // Statements about images are no platforms.
    if (isAttestationManifest(child)) continue;
    const stored = await blobExists(content, child.digest, { signal });
    const platform = child.platform === undefined ? "unknown" : formatPlatform(child.platform);
    platforms.push({ platform, digest: child.digest, stored });
  }
  return { platforms };
}

function lines({ name, target, createdAt, updatedAt, labels, platforms = [], image }: Inspected): string[] {
  const facts = [
    ["name", name],
    ["target", `${target.digest} ${target.mediaType}`],
    ["created", createdAt.toISOString()],
    ["updated", updatedAt.toISOString()],
    ...named("label", labels),
    ...(image === undefined ? [["image", "not stored for this platform"]] : imageFacts(image)),
  ];
  return [
    ...formatTable(facts),
    ...section([
      ["PLATFORM", "STORED", "MANIFEST"],
      ...platforms.map(({ platform, stored, digest }) => [platform, yesOrNo(stored), digest]),
    ]),
    ...section([
      ["SIZE", "STORED", "LAYER", "CHAIN"],
      ...(image?.layers ?? []).map((layer) => [
        formatBytes(layer.size),
        yesOrNo(layer.stored),
        layer.digest,
        layer.chainId ?? "-",
      ]),
    ]),
  ];
}

function imageFacts({ config, configDescriptor, manifest, platform, size, snapshots }: ImageDetail): string[][] {
  const { Cmd, Entrypoint, Env, Labels, User, WorkingDir } = config?.config ?? {};
  const facts = [
    ["platform", platform],
    ["manifest", manifest.digest],
    ["config", configDescriptor.digest],
    ["size", formatBytes(size)],
    ["built", config?.created],
    ["user", User],
    ["directory", WorkingDir],
    ["entrypoint", Entrypoint === undefined ? undefined : JSON.stringify(Entrypoint)],
    ["command", Cmd === undefined ? undefined : JSON.stringify(Cmd)],
    ...(Env ?? []).map((variable) => ["env", variable]),
    ...named("image label", Labels ?? {}),
    ...Object.entries(snapshots).map(([snapshotter, snapshot]) => ["unpacked", `${snapshotter} ${snapshot}`]),
  ];
  return facts.flatMap(([fact = "", value]) => (value === undefined || value === "" ? [] : [[fact, value]]));
}

function named(fact: string, labels: Readonly<Record<string, string>>): string[][] {
  return Object.entries(labels).map(([name, value]) => [fact, `${name}=${value}`]);
}

/** A table below an empty line; nothing if it has only a header. */
function section(rows: readonly (readonly string[])[]): string[] {
  return rows.length < 2 ? [] : ["", ...formatTable(rows)];
}

function yesOrNo(value: boolean): string {
  return value ? "yes" : "no";
}
