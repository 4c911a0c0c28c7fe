import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { openClient } from "@varve/client";
import type { Client, PullResult } from "@varve/client";
import type { Digest } from "@varve/digest";
import type { Resolver } from "@varve/remotes";
import { codeOf } from "../faults/codes.ts";
import { readTree } from "../tree.ts";
import type { TreeEntry } from "../tree.ts";
import type { ShelfImage } from "./shelf.ts";

/** One of the ways in which an image can be unpacked. */
interface WayOptions {
  readonly snapshotter: "native" | "overlay";
  readonly followWhileFetching: boolean;
  readonly parallelUnpack: boolean;
}

/** What one pull left, without anything that differs from way to way: names of snapshotters, keys, times. */
export interface Outcome {
  /** Code and message of the error and of each of its causes. */
  readonly error: readonly string[] | undefined;
  readonly layers: PullResult["layers"] | undefined;
  /** Of the image, by chain ID: what it stands on, and its labels. Kinds other than `committed` are under `left`. */
  readonly snapshots: Readonly<Record<string, object>>;
  /** Labels of all blobs of the image. */
  readonly blobs: Readonly<Record<string, object>>;
  /** What is no committed snapshot. */
  readonly left: readonly string[];
  readonly trees: ReadonlyMap<string, ReadonlyMap<string, TreeEntry>>;
}

/** A store of its own in which everything is unpacked in one way. */
export class Way implements AsyncDisposable {
  readonly name: string;
  readonly snapshotter: string;
  readonly client: Client;
  readonly #place: string;

  constructor(name: string, snapshotter: string, client: Client) {
    this.name = name;
    this.snapshotter = snapshotter;
    this.client = client;
    this.#place = `${client.root}-mounted`;
  }

  /** Pulls, looks at what came of it, and leaves it there. */
  async pull({ blobs, name }: ShelfImage): Promise<Outcome> {
    const pulled = await this.client.pull(name).then(
      (result) => ({ layers: result.layers, error: undefined }),
      (error: unknown) => ({ layers: undefined, error: linesOf(error) }),
    );
    const chain = (pulled.layers ?? []).map(({ chainId }) => chainId);
    const trees = new Map<string, Map<string, TreeEntry>>();
    // What all layers give, and something in between: each takes a mount.
    for (const chainId of new Set([chain.at(-1), chain[chain.length >> 1]])) {
      if (chainId !== undefined) trees.set(chainId, await this.#treeOf(chainId));
    }
    const { left, snapshots } = await this.#snapshots(new Set<string>(chain));
    return { ...pulled, left, snapshots, trees, blobs: pulled.layers === undefined ? {} : await this.#labelsOf(blobs) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
  }

  async #treeOf(chainId: string): Promise<Map<string, TreeEntry>> {
    await mkdir(this.#place, { recursive: true });
    await this.client.mountSnapshot(chainId, this.#place);
    try {
      return readTree(this.#place);
    } finally {
      await this.client.unmount(this.#place);
      await rmdir(this.#place);
    }
  }

  async #snapshots(wanted: ReadonlySet<string>): Promise<Pick<Outcome, "left" | "snapshots">> {
    const snapshots: Record<string, object> = {};
    const left: string[] = [];
    for await (const { kind, labels, name, parent } of (await this.client.snapshotter()).walk()) {
      if (kind !== "committed") left.push(`${kind} ${name}`);
      else if (wanted.has(name)) snapshots[name] = { parent, labels: sorted(labels) };
    }
    return { left, snapshots };
  }

  async #labelsOf(digests: readonly Digest[]): Promise<Record<string, object>> {
    const blobs: Record<string, object> = {};
    for (const digest of digests) {
      const { labels } = await this.client.content.info(digest);
      const entries = Object.entries(labels);
      blobs[digest] = sorted(
        Object.fromEntries(entries.map(([key, value]) => [key.replace(/\.(overlay|native)$/, ".*"), value])),
      );
    }
    return blobs;
  }
}

/** All eight, the plainest first: what it does is what the others must do. */
export async function openWays(directory: string, resolver: () => Resolver): Promise<readonly [Way, ...Way[]]> {
  const ways: Way[] = [];
  for (const snapshotter of ["overlay", "native"] as const) {
    for (const followWhileFetching of [false, true]) {
      for (const parallelUnpack of [false, true]) {
        ways.push(await openWay(directory, resolver(), { snapshotter, followWhileFetching, parallelUnpack }));
      }
    }
  }
  const [plain, ...others] = ways;
  if (plain === undefined) throw new Error("there are no ways");
  return [plain, ...others];
}

async function openWay(directory: string, registry: Resolver, options: WayOptions): Promise<Way> {
  const { followWhileFetching, parallelUnpack, snapshotter } = options;
  const name = [snapshotter, followWhileFetching && "following", parallelUnpack && "parallel"].filter(Boolean);
  const root = join(directory, name.join("-"));
  const client = await openClient({ ...options, root, registry, durability: "none", maxConcurrentUnpacks: 2 });
  return new Way(name.join(" "), snapshotter, client);
}

function sorted(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function linesOf(error: unknown): string[] {
  const lines: string[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) lines.push(`${String(codeOf(at))} ${at.message}`);
  return lines;
}
