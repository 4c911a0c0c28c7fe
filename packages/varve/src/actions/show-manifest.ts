import type { Registry } from "@varve/client";
import { CodedError } from "@varve/errors";
import { isIndexType, isManifestType, parseManifest } from "@varve/oci";
import { readRemote } from "@varve/remotes";
import type { CommandRun } from "../command-run.ts";
import { writeOutput } from "../output.ts";
import { printable } from "../printable.ts";
import type { RegistryFlags } from "../registry-options.ts";
import { checkUsage } from "./check-usage.ts";
import { hostOf } from "./host-of.ts";
import { onPlatform, resolveImage } from "./resolve-image.ts";
import { withRegistry } from "./with-registry.ts";

/** The manifest or index; with `--platform` the manifest of that platform. */
export async function showManifest(reference: string, run: CommandRun<RegistryFlags>): Promise<void> {
  checkUsage(reference, run.options.platform);
  await printDocument(
    await withRegistry(run, [hostOf(reference)], async (registry) => {
      const { name, descriptor } = await resolveImage(registry, reference, run);
      return readRemote(registry.fetcher(name), descriptor, { signal: run.signal });
    }),
  );
}

/** The config of the image for a platform, by default this machine's. */
export async function showConfig(reference: string, run: CommandRun<RegistryFlags>): Promise<void> {
  checkUsage(reference, run.options.platform);
  await printDocument(await withRegistry(run, [hostOf(reference)], (registry) => readConfig(registry, reference, run)));
}

async function readConfig(registry: Registry, reference: string, run: CommandRun<RegistryFlags>): Promise<Uint8Array> {
  const { options, signal } = run;
  const resolved = await registry.resolve(reference, { signal });
  const { name, descriptor } = await onPlatform(registry, resolved, options.platform, signal);
  if (!isManifestType(descriptor.mediaType) || isIndexType(descriptor.mediaType)) {
    throw new CodedError("ERR_NOT_IMPLEMENTED", `image ${name}: ${descriptor.mediaType} has no config`);
  }
  const fetcher = registry.fetcher(name);
  const { config } = parseManifest(await readRemote(fetcher, descriptor, { signal }), descriptor);
  return readRemote(fetcher, config, { signal });
}

/** As it is, so that its digest is right, but for people: they want to read it, and it must not play with their terminal. */
async function printDocument(bytes: Uint8Array): Promise<void> {
  if (!process.stdout.isTTY) {
    await writeOutput(bytes);
    return;
  }
  const text = Buffer.from(bytes).toString("utf8");
  const lines = indented(text).split("\n").map(printable);
  await writeOutput(`${lines.join("\n")}\n`);
}

function indented(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}
