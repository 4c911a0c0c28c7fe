/** On an active snapshot: the chain ID it will be committed under. */
export const labelTarget = "containerd.io/snapshot.ref";
/** The diff ID of the layer that a snapshot holds. */
export const labelDiffId = "containerd.io/snapshot/diff-id";
/** The chain ID of the layers below. */
export const labelParentChainId = "containerd.io/snapshot/parent-chain-id";
/** On an active snapshot: which process works on it, as `@varve/locks` prints owners, so that what a dead one left can be removed. */
export const labelOwner = "dev.varve/snapshot.owner";
