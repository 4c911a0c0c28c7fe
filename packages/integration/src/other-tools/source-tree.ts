import { bash } from "@varve-tools/corpus";

/** What every form of tar can hold: files, directories, links, modes, owners, times in seconds. */
const simple = `
mkdir -p etc/empty usr/bin usr/lib var/tmp
echo config >etc/config; ln etc/config etc/config.same; ln etc/config var/config.too
ln -s usr/lib lib; ln -s /etc/config usr/absolute; ln -s ../../../.. usr/up
printf '#!/bin/sh\\n' >usr/bin/run; chown 1000:2000 usr/bin/run; chmod 6755 usr/bin/run
head -c 300000 /dev/zero | tr '\\0' x >usr/lib/large; : >usr/lib/none; head -c 512 /dev/zero >usr/lib/block
printf latin >"usr/lib/$(printf 'caf\\351')"; echo blank >"usr/lib/a b"; echo star >'usr/lib/*'
chmod 1777 var/tmp; chmod 700 etc/empty; chown 100000:65534 etc/empty
`;

/** What needs GNU's or POSIX's form. */
const full = `
mkfifo var/pipe; mknod var/null c 1 3; mknod var/disk b 7 200; chmod 640 var/null
long=$(printf 'n%.0s' {1..200}); mkdir -p "usr/$long/$long"; echo long >"usr/$long/$long/file"
ln -s "$long/$long/file" usr/long-link; ln "usr/$long/$long/file" usr/long-same
truncate -s 3M usr/lib/sparse; printf data | dd of=usr/lib/sparse bs=1 seek=1000000 conv=notrunc status=none
printf more | dd of=usr/lib/sparse bs=1 seek=2500000 conv=notrunc status=none
truncate -s 1M usr/lib/hole
chown 3000000:4000000 usr/lib/block
`;

const attributes = `
setfattr -n user.note -v text etc/config; setfattr -n user.bytes -v 0x00ff0a3d etc
cp usr/bin/run usr/bin/able; setcap cap_net_raw=ep usr/bin/able
`;

const times = `
find . -depth -exec touch -h -d @1234567890 {} +
touch -d @1000000000 etc etc/config; touch -h -d @1100000000 lib
`;

/** As `times`, with what only POSIX's form can say. */
const fineTimes = `${times}
touch -d @1000000000.123456789 usr/lib/large var; touch -h -d @1100000000.5 usr/absolute; touch -d @-1000 usr/lib/none
`;

/** How much of a tree a form of tar can hold. */
export type Fullness = "simple" | "full" | "everything";

/** Makes a tree in an empty directory. */
export async function makeTree(directory: string, fullness: Fullness): Promise<void> {
  const parts = {
    simple: [simple, times],
    full: [simple, full, times],
    everything: [simple, full, attributes, fineTimes],
  }[fullness];
  await bash(["umask 022", 'cd "$1"', ...parts].join("\n"), [directory]);
}

const changes = `
umask 022
cd "$1"
rm -r etc/empty usr/lib/none; rm var/config.too
rm -r var/tmp; echo file >var/tmp
rm usr/bin/run; mkdir usr/bin/run; echo in >usr/bin/run/in
rm lib; mkdir lib; echo own >lib/own
rm usr/lib/large; ln -s nowhere usr/lib/large
echo changed >>usr/lib/block; chmod 4711 usr/lib/block
ln etc/config etc/config.new
mkdir -p opt/new/deep; echo new >opt/new/deep/file
touch -d @1500000000 opt/new/deep/file opt/new/deep opt/new opt usr/bin/run/in usr/bin/run lib/own lib var/tmp usr/lib usr/lib/block usr/bin usr var etc .
touch -h -d @1500000000 usr/lib/large
`;

/** Changes a tree made by `makeTree`: removes, replaces, adds and links. */
export async function changeTree(directory: string): Promise<void> {
  await bash(changes, [directory]);
}
