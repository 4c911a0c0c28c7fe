import { rm } from "node:fs/promises";
import { join } from "node:path";
import { runImageScript } from "../image-script.ts";
import { buildNodeApp } from "./node-app.ts";
import { buildOnce } from "../build-once.ts";

/** Debian and one layer of three files of 250 MB: the larger files of the application, one after the other. */
export async function buildBigFile(directory: string): Promise<void> {
  await buildOnce(join(directory, "node-app"), () => buildNodeApp(directory));
  await rm(join(directory, "big-file"), { recursive: true, force: true });
  await runImageScript(script, directory);
}

const script = `
layout=$dir/big-file parts=$dir/parts
rm -rf "$bundle" "$parts"
umoci unpack --image "$dir/node-app:latest" "$bundle" >/dev/null
find "$bundle"/rootfs/usr "$bundle"/rootfs/app -type f -size +32k -print0 | LC_ALL=C sort -z >"$dir/large"
mkdir "$parts"
# What writes is stopped as soon as enough was read.
head -c 750000000 < <(while xargs -0 cat <"$dir/large"; do :; done 2>/dev/null) | split -b 250000000 - "$parts/part-"
rm -rf "$bundle" "$dir/large"
cp -a "$dir/debian" "$layout"
umoci unpack --image "$layout:latest" "$bundle" >/dev/null
mv "$parts" "$bundle/rootfs/data"
layer
finish
`;
