import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { buildOnce } from "./build-once.ts";
import { runImageScript } from "./image-script.ts";

/** OCI layouts, each with one image tagged `latest`. */
export interface Corpus {
  /** A Debian root file system as one layer. */
  readonly debian: string;
  /** On top of it: packages with setuid files, a file capability, hard links, deletions, an opaque directory. */
  readonly app: string;
}

/** Builds the images, or takes what an earlier run finished in the same directory. Needs root, mmdebstrap and umoci. */
export async function buildCorpus(directory: string): Promise<Corpus> {
  const corpus = { debian: join(directory, "debian"), app: join(directory, "app") };
  await mkdir(directory, { recursive: true });
  await buildDebian(directory);
  await buildOnce(corpus.app, () => runImageScript(appScript, directory));
  return corpus;
}

/** Builds the image that all others have below. Resolves to its layout. */
export async function buildDebian(directory: string): Promise<string> {
  const layout = join(directory, "debian");
  await buildOnce(layout, () => runImageScript(debianScript, directory));
  return layout;
}

const debianScript = `
layout=$dir/debian
rm -rf "$layout" "$bundle"
mmdebstrap --variant=minbase --mode=root --quiet \
  --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/log/* "$1"/etc/resolv.conf' bookworm "$dir/base.tar"
umoci init --layout "$layout"
umoci new --image "$layout:latest"
umoci unpack --image "$layout:latest" "$bundle" >/dev/null
tar -C "$bundle/rootfs" --xattrs --xattrs-include='*' -xf "$dir/base.tar"
rm "$dir/base.tar"
layer
finish
`;

/** The last layer is made with GNU tar, since umoci writes no opaque marker: a directory removed and made again. */
const appScript = `
layout=$dir/app
rm -rf "$layout" "$bundle"
cp -a "$dir/debian" "$layout"
umoci unpack --image "$layout:latest" "$bundle" >/dev/null
root=$bundle/rootfs
cp --remove-destination /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
trap 'umount "$root/proc" 2>/dev/null || true' EXIT
chroot "$root" sh -ec '
  apt-get -q update
  apt-get -qy install --no-install-recommends iputils-ping libcap2-bin sudo perl
  apt-get clean
  rm -rf /var/lib/apt/lists/* /var/log/*
' >/dev/null
umount "$root/proc"
rm -f "$root/etc/resolv.conf"
setcap cap_net_raw=ep "$root/usr/bin/ping" 2>/dev/null || setcap cap_net_raw=ep "$root/bin/ping"
getcap -r "$root/usr/bin" "$root/bin" | grep -q cap_net_raw
mkdir -p "$root/srv/data/deep" "$root/srv/again"
echo one >"$root/srv/data/one"
ln "$root/srv/data/one" "$root/srv/data/deep/same"
echo old >"$root/srv/again/old"
printf 'latin \\351' >"$root/srv/$(printf 'caf\\351')"
setfattr -n user.note -v 'some text' "$root/srv/data/one"
chown -R 1000:1000 "$root/srv/data"
mkfifo "$root/srv/fifo"
layer
rm -rf "$root"/usr/share/doc/* "$root"/usr/share/man
rm "$root/srv/data/deep/same"
rm -rf "$root/srv/again"
mkdir "$root/srv/again"
echo new >"$root/srv/again/new"
layer
top=$dir/top
rm -rf "$top"
mkdir -p "$top/usr/share/perl-base-copy" "$top/srv/again" "$top/usr/share/bash-completion"
: >"$top/usr/share/bash-completion/.wh..wh..opq"
echo kept >"$top/usr/share/bash-completion/kept"
: >"$top/srv/.wh.fifo"
(cd "$top" && find . -mindepth 1 -printf '%P\\n' | LC_ALL=C sort |
  tar -c --format=pax --numeric-owner --owner=0 --group=0 --mtime=@$SOURCE_DATE_EPOCH --no-recursion -T - -f "$dir/top.tar")
rm -rf "$top"
umoci raw add-layer --image "$layout:latest" "$dir/top.tar" >/dev/null
rm "$dir/top.tar"
finish
`;
