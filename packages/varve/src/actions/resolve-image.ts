import type { Registry } from "@varve/client";
import { CodedError } from "@varve/errors";
import { defaultPlatform, isIndexType, onlyPlatform, parseIndex, parsePlatform, selectManifest } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { readRemote } from "@varve/remotes";
import type { Resolved } from "@varve/remotes";
import type { CommandRun } from "../command-run.ts";
import { onePlatform } from "./platform-option.ts";

/** What a name stands for; with `--platform`, the manifest of that platform where the name stands for an index. */
export async function resolveImage(
  registry: Registry,
  reference: string,
  { options, signal }: CommandRun,
): Promise<Resolved> {
  const resolved = await registry.resolve(reference, { signal });
  const platform = onePlatform(options.platform);
  return platform === undefined ? resolved : onPlatform(registry, resolved, platform, signal);
}

/** The manifest for a platform, by default this machine's; what is no index is taken as it is. */
export async function onPlatform(
  registry: Registry,
  { name, descriptor: target }: Resolved,
  platform: string | undefined,
  signal: AbortSignal,
): Promise<Resolved> {
  const fetcher = registry.fetcher(name);
  const matcher = onlyPlatform(platform === undefined ? defaultPlatform() : parsePlatform(platform));
  let descriptor: Descriptor = target;
  // An index in an index is allowed; more than a few are nobody's intention.
  for (let depth = 0; depth < 8; depth += 1) {
    if (!isIndexType(descriptor.mediaType)) return { name, descriptor };
    const index = parseIndex(await readRemote(fetcher, descriptor, { signal }), descriptor);
    descriptor = selectManifest(index, matcher);
  }
  throw new CodedError("ERR_INVALID_DATA", `image ${name}: indexes nested too deep`);
}
