import type { CallOptions } from "@varve/content";
import type { Metadata } from "@varve/metadata";
import type { StoreUsage } from "./client.ts";
import type { UsedStores } from "./usage.ts";

/** What is about a store as a whole, over all namespaces. */
export interface Upkeep extends Pick<Metadata, "check" | "collect" | "namespaces" | "repair" | "why"> {
  usage(options: CallOptions): Promise<StoreUsage>;
}

/** That of a store of varve's own. */
export function createUpkeep(stores: UsedStores): Upkeep {
  const { metadata } = stores;
  return {
    namespaces: metadata.namespaces,
    check: (options) => metadata.check(options),
    collect: (options) => metadata.collect(options),
    repair: (options) => metadata.repair(options),
    why: (item, options) => metadata.why(item, options),
    usage: async (options) => {
      const { storeUsage } = await import("./usage.ts");
      return storeUsage(stores, options);
    },
  };
}
