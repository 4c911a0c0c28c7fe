import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { openMetadata } from "@varve/metadata";
import type { CollectibleResource, Item, Metadata } from "@varve/metadata";
import { GcContent, GcSnapshotter } from "./gc-fakes.ts";

type Labels = Readonly<Record<string, string>>;

/** Text that names no process that lives. */
export const deadOwner = "1/1/00000000-0000-0000-0000-000000000000";

export const hour = 3_600_000;

/** A time as labels have it. */
export function inMs(milliseconds: number): string {
  return new Date(Date.now() + milliseconds).toISOString();
}

/** A digest that is easy to tell from others. */
export function d(number: number): Digest {
  return parseDigest(`sha256:${number.toString(16).padStart(64, "0")}`);
}

interface Where {
  readonly namespace?: string;
  readonly labels?: Labels;
}

/** A store whose rows are put in by SQL, over fakes. What is made in it is there in the store below too, unless it says so. */
export class World implements AsyncDisposable {
  readonly content: GcContent;
  readonly overlay: GcSnapshotter;
  readonly btrfs: GcSnapshotter;
  readonly metadata: Metadata;
  readonly sql: DatabaseSync;
  readonly #root: string;

  constructor(parts: Pick<World, "content" | "overlay" | "btrfs" | "metadata" | "sql"> & { readonly root: string }) {
    this.content = parts.content;
    this.overlay = parts.overlay;
    this.btrfs = parts.btrfs;
    this.metadata = parts.metadata;
    this.sql = parts.sql;
    this.#root = parts.root;
  }

  blob(number: number, options: Where & { readonly stored?: boolean; readonly size?: number } = {}): void {
    const { namespace = "default", labels = {}, stored = true, size = 100 } = options;
    this.run("INSERT INTO blobs VALUES (?, ?, ?, ?, 0, 0)", namespace, d(number), size, JSON.stringify(labels));
    if (stored) this.content.blobs.set(d(number), size);
  }

  image(name: string, target: number, { namespace = "default", labels = {} }: Where = {}): void {
    const descriptor = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: d(target), size: 100 };
    this.run(
      "INSERT INTO images VALUES (?, ?, ?, ?, 0, 0)",
      namespace,
      name,
      JSON.stringify(descriptor),
      JSON.stringify(labels),
    );
  }

  /** @param holds `content 1`, `image a`, `ingest a`, `snapshot overlay/a`, or a type from outside */
  lease(id: string, holds: readonly string[], options: Where & { readonly expiresAt?: number } = {}): void {
    const { namespace = "default", labels = {}, expiresAt } = options;
    this.run("INSERT INTO leases VALUES (?, ?, ?, 0, ?)", namespace, id, JSON.stringify(labels), expiresAt ?? null);
    for (const held of holds) {
      const [, type = "", rest = ""] = /^(\S+) (.*)$/.exec(held) ?? [];
      const [, snapshotter = "", name = rest] = (type === "snapshot" && /^([^/]+)\/(.*)$/.exec(rest)) || [];
      const key = type === "content" ? d(Number(rest)) : name;
      this.run("INSERT INTO lease_resources VALUES (?, ?, ?, ?, ?)", namespace, id, type, snapshotter, key);
    }
  }

  ingest(
    ref: string,
    options: {
      readonly namespace?: string;
      readonly expected?: number;
      readonly createdAt?: number;
      readonly updatedAt?: number;
      readonly offset?: number;
      readonly stored?: boolean;
      readonly recorded?: boolean;
    } = {},
  ): void {
    const {
      namespace = "default",
      expected,
      updatedAt = Date.now(),
      offset = 10,
      stored = true,
      recorded = true,
    } = options;
    const { createdAt = updatedAt } = options;
    const digest = expected === undefined ? null : d(expected);
    if (recorded) this.run("INSERT INTO ingests VALUES (?, ?, ?, ?)", namespace, ref, digest, createdAt);
    const below = `${namespace}/${ref}`;
    const times = { startedAt: new Date(createdAt), updatedAt: new Date(updatedAt) };
    if (stored) this.content.ingests.set(below, { ref: below, offset, ...times });
  }

  /** Gives the key below. */
  snapshot(
    name: string,
    options: Where & {
      readonly snapshotter?: "overlay" | "btrfs";
      readonly parent?: string;
      readonly kind?: string;
      readonly owner?: string;
      readonly stored?: boolean;
    } = {},
  ): string {
    const {
      namespace = "default",
      labels = {},
      snapshotter = "overlay",
      parent,
      kind = "committed",
      owner = "",
    } = options;
    const parentRow = this.sql
      .prepare("SELECT seq, backend_key FROM snapshots WHERE namespace = ? AND snapshotter = ? AND name = ?")
      .get(namespace, snapshotter, parent ?? "");
    const { lastInsertRowid } = this.sql
      .prepare("INSERT INTO snapshots VALUES (NULL, ?, ?, ?, ?, ?, '', ?, ?, 0, 0)")
      .run(namespace, snapshotter, name, kind, parentRow?.["seq"] ?? null, owner, JSON.stringify(labels));
    const key = `${namespace}/${lastInsertRowid}/${name}`;
    this.run("UPDATE snapshots SET backend_key = ? WHERE seq = ?", key, lastInsertRowid);
    if (options.stored ?? true) this[snapshotter].add(key, parentRow?.["backend_key"]?.toString());
    return key;
  }

  run(sql: string, ...values: readonly (string | number | bigint | null)[]): void {
    this.sql.prepare(sql).run(...values);
  }

  /** All records: `content 1`, `snapshot overlay/a`, `image a`; of other namespaces than `default` with the namespace before. */
  records(): string[] {
    const rows = this.sql
      .prepare(
        `SELECT namespace, 'content' AS type, digest AS id FROM blobs UNION ALL
         SELECT namespace, 'image', name FROM images UNION ALL
         SELECT namespace, 'lease', id FROM leases UNION ALL
         SELECT namespace, 'ingest', ref FROM ingests UNION ALL
         SELECT namespace, 'snapshot', snapshotter || '/' || name FROM snapshots`,
      )
      .all();
    const text = rows.map(({ namespace, type, id }) =>
      textOf({ namespace: String(namespace), type: String(type), id: String(id) }),
    );
    return text.toSorted();
  }

  /** Another process, with what it makes of the same stores. */
  open(): Promise<Metadata> {
    const { overlay, btrfs, content } = this;
    return openMetadata({
      path: join(this.#root, "metadata.db"),
      content,
      durability: "none",
      snapshotters: {
        used: async () => ["overlay", "btrfs"],
        get: async (name) => (name === "btrfs" ? btrfs : overlay),
      },
    });
  }

  /** What is in the content store: `1`, and refs. */
  stored(): string[] {
    return [
      ...[...this.content.blobs.keys()].map((digest) => short(digest)),
      ...this.content.ingests.keys(),
    ].toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.sql.close();
    await this.metadata.close();
    await rm(this.#root, { recursive: true, force: true });
  }
}

export async function openWorld(resources: readonly CollectibleResource[] = []): Promise<World> {
  const root = await mkdtemp(join(tmpdir(), "varve-gc-"));
  const path = join(root, "metadata.db");
  const [content, overlay, btrfs] = [new GcContent(), new GcSnapshotter(), new GcSnapshotter()];
  const metadata = await openMetadata({
    path,
    content,
    resources,
    durability: "none",
    snapshotters: { used: async () => ["overlay", "btrfs"], get: async (name) => (name === "btrfs" ? btrfs : overlay) },
  });
  const sql = new DatabaseSync(path, { timeout: 5000, enableForeignKeyConstraints: true });
  return new World({ root, sql, metadata, content, overlay, btrfs });
}

export function textOf({ namespace, type, snapshotter, id }: Item): string {
  const name = snapshotter === undefined ? short(id) : `${snapshotter}/${id}`;
  return namespace === "default" ? `${type} ${name}` : `${namespace} ${type} ${name}`;
}

function short(id: string): string {
  return id.startsWith("sha256:") ? String(Number.parseInt(id.slice(7), 16)) : id;
}
