import { probeOverlay } from "@varve/snapshots-overlay";

const features = probeOverlay();

/** What every overlay mount of this kernel gets when nothing is configured (outside of user namespaces). */
export const found: readonly string[] = [
  ...(features.index ? ["index=off"] : []),
  ...(features.metacopy ? ["metacopy=off"] : []),
  ...(features.redirectDirectory ? ["redirect_dir=nofollow"] : []),
];
