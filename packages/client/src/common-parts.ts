import type { Ingester } from "@varve/content";
import type { Comparer } from "@varve/diff";
import type { Differ } from "@varve/differ";
import { createKeyedLock, createLimiter } from "@varve/locks";
import type { Resolver } from "@varve/remotes";
import { defaultMounter } from "./default-backends.ts";
import { Lazy } from "./lazy.ts";
import type { OpenClientOptions } from "./open-client.ts";
import type { OpenRegistryOptions } from "./open-registry.ts";
import type { Stack } from "./stack.ts";

/** What a client needs whatever store it is for. */
export function commonParts(
  options: Pick<OpenClientOptions, "maxConcurrentDownloads" | "registry">,
): Pick<Stack, "fetchLimiter" | "locks" | "mounter" | "resolver"> {
  return {
    mounter: defaultMounter(),
    resolver: new Lazy(() => openResolver(options.registry)),
    locks: createKeyedLock(),
    fetchLimiter: createLimiter(options.maxConcurrentDownloads ?? 3),
  };
}

/** Opens differs that mount by `mounter`, in `mountDirectory`. */
export function differOpener(
  places: Pick<Stack, "mountDirectory" | "mounter">,
): (content: Ingester) => Promise<Comparer & Differ> {
  return async (content) => {
    const { createDiffer } = await import("@varve/differ");
    return createDiffer({ content, ...places });
  };
}

async function openResolver(registry: OpenRegistryOptions | Resolver | undefined): Promise<Resolver> {
  if (registry !== undefined && "resolve" in registry) return registry;
  const { openRegistry } = await import("./open-registry.ts");
  return openRegistry(registry);
}
