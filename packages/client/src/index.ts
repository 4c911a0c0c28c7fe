export { applyLayers } from "./apply-layers.ts";
export type { AppliedLayer, ApplyLayersOptions } from "./apply-layers.ts";
export type {
  Client,
  FetchOptions,
  FetchResult,
  HeldStores,
  MountOptions,
  PulledLayer,
  PullOptions,
  PullResult,
  StoreUsage,
  UnmountOptions,
  UsageEntry,
} from "./client.ts";
export { defaultRoot } from "./default-root.ts";
export { openClient } from "./open-client.ts";
export type { OpenClientOptions } from "./open-client.ts";
export type { OpenSnapshotter } from "./snapshotter-set.ts";
export type { Lease } from "@varve/leases";
export type {
  CheckOptions,
  CheckReport,
  CollectedItem,
  CollectOptions,
  CollectReport,
  Explanation,
  Item,
  NamespaceInfo,
  NamespaceStore,
  Problem,
  Reason,
  Repair,
  RepairReport,
} from "@varve/metadata";
