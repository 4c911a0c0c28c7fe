import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openClient } from "@varve/client";
import type { OpenClientOptions } from "@varve/client";
import { bash, exec, temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { environment } from "../src/images-under-test.ts";
import { compareTrees, readTree } from "../src/tree.ts";
import type { TreeEntry } from "../src/tree.ts";

const { missing } = environment;

/**
 * Layers whose tree depends on what lies below them: a file in a directory that is a link below (with a name that is no
 * UTF-8), a hard link to a lower file, a whiteout of nothing, a directory deleted and made again, a file where a directory was.
 */
const makeImage = `
umask 022
work=$1
mkdir -p "$work"/{1,2,3}
cd "$work/1"
mkdir -p usr/lib etc/old deep/er
ln -s usr/lib lib
echo base >usr/lib/base; echo one >etc/one; echo old >etc/old/file; echo x >deep/er/x
chmod 700 deep; chmod 2755 deep/er; touch -d @1000000000 deep/er deep
tar -cf ../1.tar .
cd "$work/2"
mkdir -p lib etc/old
echo through >lib/through; printf bytes >"lib/$(printf 'caf\\351')"
echo new >etc/old/new; : >etc/.wh.old; : >etc/.wh.nothing; ln -s nowhere etc/one-link
tar -cf ../2.tar lib/through lib/caf* etc/.wh.old etc/old etc/.wh.nothing etc/one-link
cd "$work/3"
mkdir -p deep etc
echo flat >deep/er; : >etc/.wh.one
echo one >etc/one; ln etc/one etc/linked
tar -cf ../3.tar deep/er etc/linked etc/one --transform 's,^etc/one$,etc/again,' etc/.wh.one
umoci init --layout "$work/layout"
umoci new --image "$work/layout:latest"
for layer in 1 2 3; do umoci raw add-layer --image "$work/layout:latest" "$work/$layer.tar" >/dev/null; done
skopeo copy -q --dest-tls-verify=false "oci:$work/layout:latest" "docker://$2"
`;

describe.skipIf(missing !== undefined)(`odd layers (privileged${missing === undefined ? "" : `: ${missing}`})`, () => {
  test("give one tree: unpacked one after the other or at the same time, by overlay and by native", async () => {
    await using directory = await temporaryDirectory();
    const reference = `${environment.registry}/odd:v1`;
    await bash(makeImage, [join(directory.path, "work"), reference]);
    const treeOf = async (name: string, options: OpenClientOptions): Promise<Map<string, TreeEntry>> => {
      await using client = await openClient({ ...options, root: join(directory.path, name), durability: "none" });
      await client.pull(reference);
      const mounted = join(directory.path, `${name}-mounted`);
      await mkdir(mounted);
      await client.mount(reference, mounted);
      try {
        return readTree(mounted);
      } finally {
        await client.unmount(mounted);
      }
    };
    const native = await treeOf("native", { snapshotter: "native" });
    expect([...native.keys()].toSorted()).toEqual([
      "",
      "deep",
      "deep/er",
      "etc",
      "etc/again",
      "etc/linked",
      "etc/old",
      "etc/old/new",
      "etc/one-link",
      "lib",
      "usr",
      "usr/lib",
      "usr/lib/base",
      "usr/lib/caf\u00E9",
      "usr/lib/through",
    ]);
    expect(compareTrees(await treeOf("parallel", { snapshotter: "overlay" }), native)).toEqual([]);
    expect(compareTrees(await treeOf("sequential", { snapshotter: "overlay", parallelUnpack: false }), native)).toEqual(
      [],
    );
    await exec("umoci", [
      "unpack",
      "--image",
      `${join(directory.path, "work/layout")}:latest`,
      join(directory.path, "bundle"),
    ]);
    const expected = readTree(join(directory.path, "bundle/rootfs"));
    expect([...expected.keys()].toSorted()).toEqual([...native.keys()].toSorted());
  });
});
