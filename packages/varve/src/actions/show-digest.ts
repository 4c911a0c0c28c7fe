import { formatReference, parseReference } from "@varve/reference";
import type { CommandRun } from "../command-run.ts";
import { printResult } from "../output.ts";
import type { RegistryFlags } from "../registry-options.ts";
import { checkUsage } from "./check-usage.ts";
import { hostOf } from "./host-of.ts";
import { resolveImage } from "./resolve-image.ts";
import { withRegistry } from "./with-registry.ts";

type DigestOptions = RegistryFlags & { readonly fullRef?: boolean };

/** Of the whole index, or with `--platform` of one image in it. */
export async function showDigest(reference: string, run: CommandRun<DigestOptions>): Promise<void> {
  const { options } = run;
  checkUsage(reference, options.platform);
  const { name, descriptor } = await withRegistry(run, [hostOf(reference)], (registry) =>
    resolveImage(registry, reference, run),
  );
  const { digest, mediaType, size } = descriptor;
  const { domain, path } = parseReference(name);
  const shown = options.fullRef === true ? formatReference({ domain, path, digest }) : digest;
  await printResult(options.json, { name, digest, mediaType, size }, () => [shown]);
}
