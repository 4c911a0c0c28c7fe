import type { Descriptor } from "@varve/oci";
import { formatBytes } from "../format.ts";
import { printList } from "../output.ts";
import type { ListOptions } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import type { RegistryFlags } from "../registry-options.ts";
import { checkUsage } from "./check-usage.ts";
import { hostOf } from "./host-of.ts";
import { resolveImage } from "./resolve-image.ts";
import { withRegistry } from "./with-registry.ts";

interface ReferrersOptions extends RegistryFlags, ListOptions {
  readonly artifactType?: string;
}

const form = {
  key: "referrers",
  header: ["DIGEST", "SIZE", "ARTIFACT TYPE", "ANNOTATIONS"],
  row: ({ digest, size, artifactType, annotations = {} }: Descriptor) => [
    digest,
    formatBytes(size),
    artifactType ?? "-",
    Object.entries(annotations)
      .map(([name, value]) => `${name}=${value}`)
      .join(",") || "-",
  ],
  name: ({ digest }: Descriptor) => digest,
};

/** Of what the name stands for: the whole index, or with `--platform` one image in it. */
export async function listReferrers(reference: string, run: CommandRun<ReferrersOptions>): Promise<void> {
  const { options, signal } = run;
  checkUsage(reference, options.platform);
  await printList(options, form, () =>
    withRegistry(run, [hostOf(reference)], async (registry) => {
      const { name, descriptor } = await resolveImage(registry, reference, run);
      const { artifactType } = options;
      return Array.fromAsync(registry.repository(name).referrers(descriptor.digest, { artifactType, signal }));
    }),
  );
}
