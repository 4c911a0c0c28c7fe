import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { createTarSplitter } from "@varve/archive";
import { bash, exec } from "@varve-tools/corpus";
import { chainIds, digestHex, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { MobyDriver, MobySource } from "@varve/layers";
import type { Descriptor } from "@varve/oci";

/** What moby says of a layer in files of its own (S1.70). */
interface Recorded {
  readonly chainId: Digest;
  readonly diffId: Digest;
  readonly parent: Digest | undefined;
  readonly cacheId: string;
  readonly size: number;
  readonly descriptor?: Descriptor | undefined;
}

/** A layer as containers/storage, in Go, keeps it. */
interface StorageLayer {
  readonly id: string;
  readonly parent?: string;
  readonly "diff-digest": Digest;
  readonly "diff-size": number;
}

/** A moby's store on disk, for there is no moby here: its files are laid out as it does. */
export class MobyStore implements MobySource {
  readonly layerdb: string;
  readonly driver: MobyDriver;

  private constructor(layerdb: string, driver: MobyDriver) {
    this.layerdb = layerdb;
    this.driver = driver;
  }

  /** An empty one. */
  static async create(path: string): Promise<MobyStore> {
    const store = new MobyStore(join(path, "image/overlay2/layerdb"), {
      name: "overlay2",
      root: join(path, "overlay2"),
    });
    for (const name of ["sha256", "mounts", "tmp"]) await mkdir(join(store.layerdb, name), { recursive: true });
    await mkdir(store.driver.root);
    return store;
  }

  /** One whose files and records are all by Go: containers/storage unpacks the image, with drivers that were moby's once. */
  static async byGo(path: string, image: string, name: MobyDriver["name"]): Promise<MobyStore> {
    const kind = name === "vfs" ? "vfs" : "overlay";
    const storage = `${kind}@${path}/root+${path}/run`;
    await exec("skopeo", [
      "--insecure-policy",
      "copy",
      "-q",
      `oci:${image}`,
      `containers-storage:[${storage}]image:v1`,
    ]);
    // This driver mounts its own directory on itself, and leaves that.
    if (kind === "overlay") await bash('! mountpoint -q "$1" || umount "$1"', [join(path, "root/overlay")]);
    const store = new MobyStore(join(path, "layerdb"), { name, root: join(path, "root", kind) });
    const chains = new Map<string, Digest>();
    const all: StorageLayer[] = JSON.parse(await readFile(join(path, `root/${kind}-layers/layers.json`), "utf8"));
    for (let left = all; left.length > 0; left = left.filter(({ id }) => !chains.has(id))) {
      for (const layer of left) {
        const parent = chains.get(layer.parent ?? "");
        if (layer.parent !== undefined && parent === undefined) continue;
        const diffId = layer["diff-digest"];
        const chainId = chainOn(parent, diffId);
        chains.set(layer.id, chainId);
        const records = await readFile(join(path, `root/${kind}-layers`, `${layer.id}.tar-split.gz`));
        await store.record({ chainId, diffId, parent, cacheId: layer.id, size: layer["diff-size"] }, records);
      }
    }
    return store;
  }

  /** Puts a layer in as moby does, its files unpacked by GNU tar. */
  async add(
    tar: Buffer,
    options: { readonly parent?: Digest; readonly descriptor?: Descriptor; readonly isInit?: boolean } = {},
  ): Promise<Digest> {
    const { parent, descriptor } = options;
    const cacheId = `${randomBytes(32).toString("hex")}${options.isInit === true ? "-init" : ""}`;
    const files = join(this.driver.root, cacheId, "diff");
    await mkdir(files, { recursive: true });
    const path = join(this.driver.root, cacheId, "layer.tar");
    await writeFile(path, tar);
    await bash(`tar -xpf "$1" --exclude='.wh.*' -C "$2"; rm "$1"`, [path, files]);
    const diffId = digestOf(tar);
    const chainId = chainOn(parent, diffId);
    const records: Uint8Array[] = [];
    const splitter = createTarSplitter((record) => records.push(record));
    splitter.write(tar);
    const { contentBytes: size } = splitter.end();
    await this.record({ chainId, diffId, parent, cacheId, size, descriptor }, gzipSync(Buffer.concat(records)));
    return chainId;
  }

  async record({ chainId, diffId, parent, cacheId, size, descriptor }: Recorded, records: Buffer): Promise<void> {
    const directory = this.directoryOf(chainId);
    await mkdir(directory, { recursive: true });
    const write = (name: string, text: string | Buffer): Promise<void> => writeFile(join(directory, name), text);
    await write("size", String(size));
    await write("diff", diffId);
    await write("cache-id", cacheId);
    await write("tar-split.json.gz", records);
    if (parent !== undefined) await write("parent", parent);
    if (descriptor !== undefined) await write("descriptor.json", JSON.stringify(descriptor));
  }

  /** Where a layer's metadata are. */
  directoryOf(chainId: Digest): string {
    return join(this.layerdb, "sha256", digestHex(chainId));
  }

  /** Where a layer's files are. */
  async filesOf(chainId: Digest): Promise<string> {
    const cacheId = await readFile(join(this.directoryOf(chainId), "cache-id"), "utf8");
    return join(this.driver.root, ...(this.driver.name === "vfs" ? ["dir", cacheId] : [cacheId, "diff"]));
  }

  /** All that is there: names, kinds, modes, sizes, times and contents. */
  async everything(): Promise<string> {
    const lines: string[] = [];
    for (const path of [this.layerdb, this.driver.root]) {
      const { stdout } = await bash(
        `cd "$1"; find . -printf '%p %y %m %s %T@ %C@ %l\\n' | sort; find . -type f -print0 | sort -z | xargs -0r sha256sum`,
        [path],
      );
      lines.push(stdout);
    }
    return lines.join("");
  }
}

/** The chain ID of a layer on another. */
export function chainOn(parent: Digest | undefined, diffId: Digest): Digest {
  return parent === undefined ? diffId : (chainIds([parent, diffId])[1] ?? diffId);
}
