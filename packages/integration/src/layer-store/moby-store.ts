import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { createTarSplitter } from "@varve/archive";
import { bash, exec } from "@varve-tools/corpus";
import { chainIds, digestHex, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { MobyDriver, MobySource } from "@varve/layers";
import { overlayOptions, withTemporaryMount } from "@varve/mount";
import type { Mount, OverlayDirectories } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";
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

/** What is done in a directory. */
type Work = (root: string) => Promise<void>;

interface ContainerOptions {
  readonly parent?: Digest | undefined;
  /** What a runtime makes for it. */
  readonly init?: Work | undefined;
  /** Of the overlay that takes its changes: what a kernel may do by default. */
  readonly options?: readonly string[] | undefined;
}

const mounter = createLinuxMounter();

/** Whiteouts become devices for an overlay, and take away what vfs has copied. */
const unpackScript = `
  tar -xpf "$1" --exclude='.wh.*' -C "$2"
  tar -tf "$1" | sed -nE 's,(^|.*/)\\.wh\\.([^/]*)$,\\1\\2,p' | while read -r name; do
    if [ "$3" = vfs ]; then rm -rf "$2/$name"; else mknod "$2/$name" c 0 0; fi
  done
  rm "$1"`;

function newId(): string {
  return randomBytes(32).toString("hex");
}

function overlayOf(directories: Partial<OverlayDirectories>, options: readonly string[] = []): readonly Mount[] {
  const all = [...options, ...overlayOptions({ lower: [], data: [], ...directories })];
  return [{ type: "overlay", source: "overlay", options: all }];
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
  static async create(path: string, name: MobyDriver["name"] = "overlay2"): Promise<MobyStore> {
    const store = new MobyStore(join(path, `image/${name}/layerdb`), { name, root: join(path, name) });
    for (const part of ["sha256", "mounts", "tmp"]) await mkdir(join(store.layerdb, part), { recursive: true });
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
    options: {
      readonly parent?: Digest;
      readonly descriptor?: Descriptor;
      readonly isInit?: boolean;
      readonly cacheId?: string;
    } = {},
  ): Promise<Digest> {
    const { parent, descriptor } = options;
    const cacheId = options.cacheId ?? `${newId()}${options.isInit === true ? "-init" : ""}`;
    const files = await this.#makeFiles(cacheId, await this.#cacheIds(parent));
    const path = join(this.driver.root, "layer.tar");
    await writeFile(path, tar);
    await bash(unpackScript, [path, files, this.driver.name]);
    const diffId = digestOf(tar);
    const chainId = chainOn(parent, diffId);
    const records: Uint8Array[] = [];
    const splitter = createTarSplitter((record) => records.push(record));
    splitter.write(tar);
    const { contentBytes: size } = splitter.end();
    await this.record({ chainId, diffId, parent, cacheId, size, descriptor }, gzipSync(Buffer.concat(records)));
    return chainId;
  }

  /** Puts a container's layer in as moby does: the kernel writes down what `changes` does, or vfs all of it. */
  async addContainer(
    name: string,
    changes: Work,
    { parent, init, options = [] }: ContainerOptions = {},
  ): Promise<void> {
    const mountId = newId();
    const initId = init === undefined ? undefined : `${mountId}-init`;
    const below = await this.#cacheIds(parent);
    const onInit = initId === undefined ? below : [initId, ...below];
    if (initId !== undefined && init !== undefined) await this.#change(initId, below, init, []);
    await this.#change(mountId, onInit, changes, options);
    const directory = join(this.layerdb, "mounts", name);
    await mkdir(directory);
    const pieces = { "mount-id": mountId, "init-id": initId, parent };
    for (const [piece, text] of Object.entries(pieces)) {
      if (text !== undefined) await writeFile(join(directory, piece), text);
    }
  }

  /** Runs `work` with all that a container shows. */
  async shown(name: string, work: Work): Promise<void> {
    const piece = async (file: string): Promise<string | undefined> =>
      readFile(join(this.layerdb, "mounts", name, file), "utf8").catch(() => undefined);
    const parent = (await piece("parent")) as Digest | undefined;
    const ids = [await piece("mount-id"), await piece("init-id"), ...(await this.#cacheIds(parent))];
    const [top = "", ...below] = ids.flatMap((id) => (id === undefined ? [] : [this.#path(id)]));
    const isWhole = this.driver.name === "vfs" || below.length === 0;
    if (isWhole) await work(top);
    else await withTemporaryMount(mounter, overlayOf({ lower: [top, ...below] }, ["metacopy=on"]), work);
  }

  async #change(id: string, below: readonly string[], work: Work, options: readonly string[]): Promise<void> {
    const files = await this.#makeFiles(id, below);
    if (this.driver.name === "vfs" || below.length === 0) {
      await work(files);
      return;
    }
    const kernels = join(this.driver.root, id, "work");
    await mkdir(kernels);
    const lower = below.map((each) => this.#path(each));
    await withTemporaryMount(mounter, overlayOf({ lower, upper: files, work: kernels }, options), work);
  }

  /** A directory for files of a layer, which with vfs has those below in it. */
  async #makeFiles(id: string, [below]: readonly string[]): Promise<string> {
    const files = this.#path(id);
    await mkdir(files, { recursive: true });
    if (this.driver.name === "vfs" && below !== undefined) await bash('cp -a "$1/." "$2"', [this.#path(below), files]);
    return files;
  }

  /** What the driver calls a layer, and those below. */
  async #cacheIds(chainId: Digest | undefined): Promise<readonly string[]> {
    if (chainId === undefined) return [];
    const piece = (name: string): Promise<string | undefined> =>
      readFile(join(this.directoryOf(chainId), name), "utf8").catch(() => undefined);
    const cacheId = await piece("cache-id");
    const below = await this.#cacheIds((await piece("parent")) as Digest | undefined);
    return cacheId === undefined ? below : [cacheId, ...below];
  }

  #path(id: string): string {
    return join(this.driver.root, ...(this.driver.name === "vfs" ? ["dir", id] : [id, "diff"]));
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
    return this.#path(await readFile(join(this.directoryOf(chainId), "cache-id"), "utf8"));
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
