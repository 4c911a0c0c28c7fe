import type { Registry } from "@varve/client";
import type { OnProgress } from "@varve/images";
import type { Descriptor } from "@varve/oci";
import { formatReference, parseReference } from "@varve/reference";
import { copyImage } from "@varve/remotes";
import type { PushCounts } from "@varve/remotes";
import type { CommandRun } from "../command-run.ts";
import { UsageError } from "../exit-code.ts";
import { printResult } from "../output.ts";
import { createProgressView } from "../progress/progress-view.ts";
import { checkUsage } from "./check-usage.ts";
import { writeDigestFile } from "./digest-file.ts";
import { hostOf } from "./host-of.ts";
import { onePlatform } from "./platform-option.ts";
import { quietly } from "./quiet.ts";
import { sendSummary } from "./push.ts";
import type { SendOptions } from "./push.ts";
import { resolveImage } from "./resolve-image.ts";
import { withRegistry } from "./with-registry.ts";

type CopyOptions = SendOptions & { readonly referrers?: boolean };

/** From registry to registry; nothing is stored here. */
export async function copy(source: string, destination: string, asked: CommandRun<CopyOptions>): Promise<void> {
  const options = quietly(asked.options);
  const run = { ...asked, options };
  checkUsage(source, onePlatform(options.platform));
  mustBeTag(destination);
  const hosts = [hostOf(source), hostOf(destination)] as const;
  mustSayWhose(options, hosts);
  const startedAt = performance.now();
  const view = createProgressView(options.progress, { rows: "sent blobs", intervalMs: options.progressInterval });
  const { target, counts } = await withRegistry(run, hosts, (registry) =>
    copyBetween(registry, source, destination, { ...run, onProgress: view.onProgress }),
  ).finally(() => view.finish());
  const { digest, mediaType, size } = target;
  const name = formatReference(parseReference(destination));
  const durationMs = Math.round(performance.now() - startedAt);
  const result = { name, target: { mediaType, digest, size }, ...counts, durationMs };
  await writeDigestFile(options.digestfile, digest);
  await printResult(options.json, result, () => (options.quiet === true ? [digest] : sendSummary(result)));
}

function mustSayWhose({ creds, registryToken }: CopyOptions, [source, destination]: readonly [string, string]): void {
  if (source === destination || (typeof creds !== "string" && registryToken === undefined)) return;
  const name = registryToken === undefined ? "creds" : "registry-token";
  throw new UsageError(`copy: --${name}: for ${source} or ${destination}: say --src-${name} or --dest-${name}`);
}

/** A digest in a destination would be a promise that only the image can keep. */
function mustBeTag(destination: string): void {
  checkUsage(destination, undefined);
  if (parseReference(destination).tag === undefined) throw new UsageError(`copy: ${destination}: name a tag`);
}

interface CopyRun extends CommandRun<CopyOptions> {
  readonly onProgress: OnProgress;
}

async function copyBetween(
  registry: Registry,
  source: string,
  destination: string,
  run: CopyRun,
): Promise<{ readonly target: Descriptor; readonly counts: PushCounts }> {
  const { options, signal, onProgress } = run;
  const { name, descriptor: target } = await resolveImage(registry, source, run);
  onProgress({ type: "resolved", name, target });
  const from = parseReference(name);
  const to = parseReference(destination);
  const tags = [to.tag, ...(options.tag ?? [])].filter((tag) => tag !== undefined);
  const counts = await copyImage(
    { fetcher: registry.fetcher(name), target, repository: registry.repository(name) },
    { pusher: registry.pusher(destination), tags: [...new Set(tags)] },
    {
      referrers: options.referrers,
      nonDistributable: options.allowNondistributable,
      // In one registry nothing needs to be sent at all.
      mountFrom: from.domain === to.domain ? [from.path] : [],
      onProgress,
      signal,
    },
  );
  return { target, counts };
}
