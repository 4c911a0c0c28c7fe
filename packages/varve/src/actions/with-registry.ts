import type { Registry } from "@varve/client";
import type { CommandRun } from "../command-run.ts";
import { registryOptions } from "../registry-options.ts";
import type { RegistryFlags } from "../registry-options.ts";

/**
 * Runs `body` with a registry client that the options describe. No store is opened.
 *
 * @param hosts the registries that the command asks, for which its credentials are
 */
export async function withRegistry<T>(
  { options }: CommandRun<RegistryFlags>,
  hosts: readonly string[],
  body: (registry: Registry) => Promise<T>,
): Promise<T> {
  const { openRegistry } = await import("@varve/client");
  const registry = await openRegistry(await registryOptions(options, hosts));
  try {
    return await body(registry);
  } finally {
    await registry.close();
  }
}
