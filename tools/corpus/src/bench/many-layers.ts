import { rm } from "node:fs/promises";
import { join } from "node:path";
import { buildDebian } from "../corpus.ts";
import { runImageScript } from "../image-script.ts";
import { installNpmModules } from "./npm-modules.ts";
import { treeAsLayer } from "./tree-as-layer.ts";

/** Debian and 64 small layers: one npm package each, and a file that every layer replaces. */
export async function buildManyLayers(directory: string): Promise<void> {
  await buildDebian(directory);
  await installNpmModules(directory);
  await rm(join(directory, "many-layers"), { recursive: true, force: true });
  await runImageScript(`${treeAsLayer}${script}`, directory);
}

const script = `
layout=$dir/many-layers tree=$dir/tree
cp -a "$dir/debian" "$layout"
small() { # the names of packages with 5 to 120 files
  for package in "$dir"/npm/node_modules/[a-z]*; do
    files=$(find "$package" -type f | wc -l)
    if [ "$files" -ge 5 ] && [ "$files" -le 120 ]; then echo "\${package##*/}"; fi
  done
}
small >"$dir/small"
count=0
while read -r package && [ "$count" -lt 64 ]; do
  count=$((count + 1))
  mkdir -p "$tree/srv/lib"
  cp -a "$dir/npm/node_modules/$package" "$tree/srv/lib/$package"
  echo "$count $package" >"$tree/srv/build-info"
  tree_as_layer
done <"$dir/small"
[ "$count" = 64 ]
rm "$dir/small"
finish
`;
