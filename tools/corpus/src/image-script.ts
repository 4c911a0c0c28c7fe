import { bash } from "./shell.ts";

/** The time of all that is made here. */
const epoch = "1735689600";

const functions = `
umask 022
dir=$1 bundle=$1/bundle
export DEBIAN_FRONTEND=noninteractive
layer() { # what changed in the bundle since the last one becomes a layer
  umoci repack --refresh-bundle --image "$layout:latest" "$bundle" >/dev/null
}
finish() {
  umoci config --image "$layout:latest" --architecture "$(dpkg --print-architecture)" --os linux --config.cmd /bin/bash
  umoci gc --layout "$layout" >/dev/null
  rm -rf "$bundle"
}
`;

/** Runs bash lines that make a layout under `directory`, which they know as `$dir`, out of the tree in `$bundle/rootfs`. */
export async function runImageScript(script: string, directory: string): Promise<void> {
  await bash(`${functions}${script}`, [directory], { SOURCE_DATE_EPOCH: epoch });
}
