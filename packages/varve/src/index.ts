export { applyLayers, defaultRoot, openClient } from "@varve/client";
export type {
  AppliedLayer,
  ApplyLayersOptions,
  Client,
  MountOptions,
  OpenClientOptions,
  OpenSnapshotter,
  PulledLayer,
  PullOptions,
  PullResult,
  UnmountOptions,
} from "@varve/client";
