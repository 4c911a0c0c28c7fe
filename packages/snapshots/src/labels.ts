/** On an active snapshot: the chain ID it will be committed under. */
export const labelTarget = "containerd.io/snapshot.ref";
/** The diff ID of the layer that a snapshot holds. */
export const labelDiffId = "containerd.io/snapshot/diff-id";
/** The chain ID of the layers below. */
export const labelParentChainId = "containerd.io/snapshot/parent-chain-id";
/** On an active snapshot: which process works on it, as `@varve/locks` prints owners, so that what a dead one left can be removed. */
export const labelOwner = "dev.varve/snapshot.owner";
/**
 * On an active snapshot or a view: how its mounts show user ids, `container:host:size` with commas between several. The files
 * on disk keep the ids of the image. Goes together with `labelGidMapping`; one without the other, runs that overlap and what
 * else cannot be are refused by `prepare` and `view`. Needs a snapshotter and a `Mounter` that can do it.
 */
export const labelUidMapping = "containerd.io/snapshot/uidmapping";
/** The same for group ids. */
export const labelGidMapping = "containerd.io/snapshot/gidmapping";
/** Shown by an overlay snapshotter that was asked to: the absolute path of what a snapshot holds itself. */
export const labelUpperDirectory = "containerd.io/snapshot/overlay.upperdir";
