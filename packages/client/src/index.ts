export type {
  Client,
  HeldStores,
  MountOptions,
  MountSnapshotOptions,
  SnapshotterOptions,
  StoreUsage,
  UnmountOptions,
  UsageEntry,
} from "./client.ts";
export type {
  ExportImagesOptions,
  FetchOptions,
  FetchResult,
  ImportedImage,
  ImportImagesOptions,
  PulledLayer,
  PullOptions,
  PullResult,
  PushOptions,
  PushResult,
  SpaceCheck,
} from "./transfers.ts";
export type { TransferSummary } from "@varve/images";
export type { ClientTrace } from "./traces.ts";
export { defaultRoot } from "./default-root.ts";
export { applyLayers } from "./layers/apply-layers.ts";
export type { AppliedLayer, ApplyLayersOptions, NamedLayer } from "./layers/apply-layers.ts";
export { listLayer } from "./layers/list-layer.ts";
export type { LayerInfo, ReadLayerOptions } from "./layers/list-layer.ts";
export type {
  ConsumeChanges,
  CreateLayerOptions,
  SnapshotChangeOptions,
  SnapshotLayers,
} from "./layers/snapshot-layers.ts";
export { joinLayer, splitLayer } from "./layers/split-layer.ts";
export type { JoinLayerOptions, SplitLayerOptions } from "./layers/split-layer.ts";
export type { ConsumeLayer } from "./layers/write-compared.ts";
export { writeLayer } from "./layers/write-layer.ts";
export type { WriteLayerOptions } from "./layers/write-layer.ts";
export { openContainerdClient } from "./containerd/open-containerd-client.ts";
export type { OpenContainerdClientOptions } from "./containerd/open-containerd-client.ts";
export { openBackends } from "./open-backends.ts";
export type { Backends, OpenBackendsOptions } from "./open-backends.ts";
export { openClient } from "./open-client.ts";
export type { OpenClientOptions } from "./open-client.ts";
export { checkLogin, openRegistry } from "./open-registry.ts";
export type { OpenRegistryOptions, Registry } from "./open-registry.ts";
export type { OpenSnapshotter } from "./snapshotter-set.ts";
export type { Change, SkipCounts, TarEntry, Trees } from "@varve/archive";
export type { Compression } from "@varve/compression";
export type { ComparedLayer } from "@varve/diff";
export type { DifferLimits } from "@varve/differ";
export type { Credentials } from "@varve/credentials";
export type {
  AppliedToRW,
  ApplyToRWOptions,
  CommitRWLayerOptions,
  CreateRWLayerOptions,
  Layer,
  LayerArchive,
  LayerInfo as StoredLayer,
  LayerStore,
  ListedRWLayer,
  RegisterOptions,
  RWLayer,
  RWLayerInfo,
} from "@varve/layers";
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
export { parseIdMappings } from "@varve/mount";
export type { IdMapping } from "@varve/mount";
export type { RegistryExchange, RegistryNotice, VerifiedLogin } from "@varve/remotes-registry";
