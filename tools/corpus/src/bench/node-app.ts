import { rm } from "node:fs/promises";
import { join } from "node:path";
import { buildDebian } from "../corpus.ts";
import { runImageScript } from "../image-script.ts";
import { installNpmModules } from "./npm-modules.ts";
import { treeAsLayer } from "./tree-as-layer.ts";

/** An application with all that it was built with: 12 layers, 51,000 entries, 3,000 whiteouts, 400 hard links, an opaque directory. */
export async function buildNodeApp(directory: string): Promise<void> {
  await buildDebian(directory);
  await installNpmModules(directory);
  await rm(join(directory, "node-app"), { recursive: true, force: true });
  await runImageScript(`${treeAsLayer}${functions}${debianPackages}${application}`, directory);
}

const functions = `
dated_layer() { # a layer with no time later than the epoch
  find "$root" -xdev -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  layer
}
install() { # a layer of Debian packages, made by their own tools
  cp --remove-destination /etc/resolv.conf "$root/etc/resolv.conf"
  mount -t proc proc "$root/proc"
  chroot "$root" sh -ec '
    apt-get -q update
    apt-get -qy install --no-install-recommends "$@"
    apt-get clean
    rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/ldconfig/aux-cache
  ' sh "$@" >/dev/null
  umount "$root/proc"
  rm -f "$root/etc/resolv.conf"
}
`;

const debianPackages = `
layout=$dir/node-app tree=$dir/tree root=$bundle/rootfs modules=$dir/npm/node_modules
rm -rf "$bundle" "$tree"
cp -a "$dir/debian" "$layout"
umoci unpack --image "$layout:latest" "$bundle" >/dev/null
trap 'umount "$root/proc" 2>/dev/null || true' EXIT
install ca-certificates perl python3 python3-pip-whl tzdata locales
dated_layer
install iputils-ping libcap2-bin sudo procps openssh-client git
setcap cap_net_raw=ep "$root/usr/bin/ping" 2>/dev/null || setcap cap_net_raw=ep "$root/bin/ping"
dated_layer
install gcc libc6-dev make
dated_layer
rm -rf "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/*/LC_MESSAGES
rm -rf "$root"/usr/share/info "$root"/usr/lib/python3/dist-packages/pip*
dated_layer
install nodejs
dated_layer
`;

/** The last two layers are written by GNU tar, since umoci writes no opaque marker. */
const application = `
mkdir -p "$root/app/src" "$root/app/config"
cp "$dir/npm/package.json" "$dir/npm/package-lock.json" "$root/app/"
dated_layer
cp -a "$modules" "$root/app/node_modules"
dated_layer
find "$root/app/node_modules" -name '*.js' -path '*/cjs/*' | LC_ALL=C sort | sed 400q >"$dir/linked"
while read -r file; do
  name=\${file#"$root/app/node_modules/"}
  ln "$file" "$root/app/src/\${name//\\//_}"
done <"$dir/linked"
rm "$dir/linked"
cp -a "$modules/rxjs/src" "$root/app/src/rxjs"
chown -R 1000:1000 "$root/app/src"
dated_layer
find "$root/app/node_modules" -type f '(' -name '*.map' -o -name '*.md' -o -name '*.markdown' ')' -delete
find "$root/app/node_modules" -depth -type d '(' -name test -o -name tests -o -name docs ')' -exec rm -rf {} +
dated_layer
core=$tree/app/node_modules/core-js
mkdir -p "$core"
cp -a "$modules/core-js/es" "$modules/core-js/package.json" "$core/"
: >"$core/.wh..wh..opq"
tree_as_layer
mkdir -p "$tree/app/bin"
printf '#!/bin/sh\\nexec node /app/src/main.js\\n' >"$tree/app/bin/start"
chmod 755 "$tree/app/bin/start"
tree_as_layer
finish
`;
