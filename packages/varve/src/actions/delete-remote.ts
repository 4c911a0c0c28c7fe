import { parseReference } from "@varve/reference";
import type { CommandRun } from "../command-run.ts";
import { UsageError } from "../exit-code.ts";
import type { RegistryFlags } from "../registry-options.ts";
import { checkUsage } from "./check-usage.ts";
import { hostOf } from "./host-of.ts";
import { removeEach } from "./remove.ts";
import { withRegistry } from "./with-registry.ts";

/** Tags and manifests at their registries. What is stored here stays. */
export async function deleteRemote(references: readonly string[], run: CommandRun<RegistryFlags>): Promise<void> {
  for (const reference of references) mustSayWhat(reference);
  await withRegistry(run, references.map(hostOf), (registry) =>
    removeEach(
      references,
      run,
      async (reference, signal) => {
        const parsed = parseReference(reference);
        await registry.repository(reference).deleteManifest(parsed.digest ?? parsed.tag ?? "", { signal });
        return parsed.toString();
      },
      { space: "elsewhere" },
    ),
  );
}

/** Nobody means `latest` when a tag is forgotten in front of something that cannot be undone. */
function mustSayWhat(reference: string): void {
  checkUsage(reference, undefined);
  const { tag, digest } = parseReference(reference);
  if (digest !== undefined || reference.endsWith(`:${tag}`)) return;
  throw new UsageError(`delete: ${reference}: say which tag or digest`);
}
