import { rm } from "node:fs/promises";
import { join } from "node:path";
import { runImageScript } from "../image-script.ts";
import { treeAsLayer } from "./tree-as-layer.ts";

/** So many layers of one small file each, on nothing. */
export async function buildTinyLayers(directory: string, name: string, count: number): Promise<void> {
  await rm(join(directory, name), { recursive: true, force: true });
  await runImageScript(`layout=$dir/${name} count=${count}\n${treeAsLayer}${script}`, directory);
}

const script = `
tree=$dir/tree
umoci init --layout "$layout"
umoci new --image "$layout:latest"
for number in $(seq "$count"); do
  mkdir -p "$tree/layers"
  echo "$number" >"$tree/layers/$number"
  tree_as_layer
done
finish
`;
