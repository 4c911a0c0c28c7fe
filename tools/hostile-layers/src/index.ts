export { hostileLayers } from "./hostile-layers.ts";
export { makeCanary } from "./canary.ts";
export type { Canary } from "./canary.ts";
export { problemsWith } from "./refusal.ts";
export { compareTrees, differences } from "./tree/differences.ts";
export { readTree } from "./tree/read-tree.ts";
export type { ReadXattrs, Tree, TreeNode } from "./tree/read-tree.ts";
export type { Layer } from "./build/layer.ts";
export type { ExpectedTree, HostileLayers, Refusal } from "./types.ts";
