import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import { emptyLayout } from "./layout.ts";
import { changeTree, makeTree } from "./source-tree.ts";

/** An image of four layers by umoci, in a directory: a tree, its changes, a whiteout and an opaque directory. */
export async function severalLayers(directory: string): Promise<string> {
  const [source, bundle] = [join(directory, "source"), join(directory, "bundle")];
  await mkdir(source);
  await makeTree(source, "everything");
  const image = await emptyLayout(join(directory, "layout"));
  await exec("umoci", ["insert", "--image", image, source, "/"]);
  await exec("umoci", ["unpack", "--image", image, bundle]);
  await changeTree(join(bundle, "rootfs"));
  await exec("umoci", ["repack", "--image", image, bundle]);
  await exec("umoci", ["insert", "--image", image, "--whiteout", "/opt/new"]);
  await exec("umoci", ["insert", "--image", image, "--opaque", join(source, "etc"), "/usr/lib"]);
  return image;
}
