import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statfsSync,
  utimesSync,
} from "node:fs";
import { basename, join } from "node:path";
import { CodedError } from "@varve/errors";
import type { Mount } from "@varve/mount";
import { snapshotFilter } from "@varve/snapshots";
import type { Cleaner, CreateOptions, SnapshotKind, Snapshotter, Usage } from "@varve/snapshots";
import { Table, infoOf, labelsText } from "./table.ts";
import type { Row } from "./table.ts";

/** Opens a snapshotter that keeps each snapshot in a subvolume in `root`, a directory on btrfs. Needs root and btrfs-progs. */
export async function openBtrfsSnapshotter(options: { readonly root: string }): Promise<Snapshotter & Cleaner> {
  mkdirSync(options.root, { recursive: true, mode: 0o700 });
  const root = realpathSync(options.root);
  if (statfsSync(root).type !== 0x9123683e) throw new CodedError("ERR_NOT_IMPLEMENTED", `${root}: not on btrfs`);
  const snapshotter = createSnapshotter(new Volumes(root, new Table(join(root, "metadata.db"))));
  await snapshotter.cleanup();
  return snapshotter;
}

function createSnapshotter(volumes: Volumes): Snapshotter & Cleaner {
  const { table } = volumes;
  const look = async <T>(name: string, signal: AbortSignal | undefined, body: (row: Row) => T): Promise<T> => {
    signal?.throwIfAborted();
    return body(table.find(name));
  };
  return {
    stat: (name, { signal } = {}) => look(name, signal, infoOf),
    usage: (name, { signal } = {}) => look(name, signal, (row) => volumes.usage(row)),
    mounts: (key, { signal } = {}) => look(key, signal, (row) => volumes.mounts(row)),
    update: (name, changes, options = {}) =>
      table.change(options, () => {
        const { labels } = infoOf(table.find(name));
        const text = labelsText(name, { ...(options.replace === true ? {} : labels), ...changes });
        const sql = "UPDATE snapshots SET labels = ?, updated = max(updated + 1, ?) WHERE name = ?";
        table.all(sql, text, Date.now(), name);
        return infoOf(table.find(name));
      }),
    prepare: (key, parent, options = {}) => table.change(options, () => volumes.create("active", key, parent, options)),
    view: (key, parent, options = {}) => table.change(options, () => volumes.create("view", key, parent, options)),
    commit: (name, key, options = {}) => table.change(options, () => volumes.commit(name, key, options)),
    async remove(name, options = {}) {
      const row = await table.change(options, () => {
        const found = table.find(name);
        const [child] = table.all("SELECT * FROM snapshots WHERE parent = ?", name);
        if (child !== undefined) throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: has children`);
        table.all("DELETE FROM snapshots WHERE name = ?", name);
        return found;
      });
      // Gone for everybody. What is still mounted is deleted by a later cleanup.
      if (row.volume !== null) deleteVolume(volumes.path(row));
    },
    async *walk({ filters, signal } = {}) {
      const isWanted = snapshotFilter(filters);
      for (const info of table.all("SELECT * FROM snapshots").map(infoOf)) {
        signal?.throwIfAborted();
        if (isWanted(info)) yield info;
      }
    },
    cleanup: (options = {}) => table.change(options, () => volumes.clean()),
    close: async () => table.close(),
    [Symbol.asyncDispose]: async () => table.close(),
  };
}

/**
 * A subvolume is made in no time, within the transaction that records it and under a name that was never used. So what has no
 * record is litter, and a process that is killed leaves nothing else. All but `path` are to be called in a transaction.
 */
class Volumes {
  readonly table: Table;
  readonly #root: string;

  constructor(root: string, table: Table) {
    this.#root = root;
    this.table = table;
  }

  path({ volume }: Row): string {
    return join(this.#root, volume ?? "");
  }

  create(kind: SnapshotKind, key: string, parent: string | undefined, options: CreateOptions): Mount[] {
    const labels = labelsText(key, options.labels);
    this.table.mustBeFree(key);
    const below = parent === undefined ? undefined : this.table.find(parent, "committed");
    // A view of something shows what is there, and needs no subvolume.
    const volume = kind === "view" && below !== undefined ? null : `volume-${randomUUID()}`;
    const path = join(this.#root, volume ?? "");
    if (below === undefined) btrfs("subvolume", "create", path);
    else if (volume !== null) btrfs("subvolume", "snapshot", this.path(below), path);
    if (below === undefined) {
      chmodSync(path, 0o755);
      utimesSync(path, 0, 0);
    }
    const sql = "INSERT INTO snapshots VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 0, 0)";
    this.table.all(sql, key, kind, parent ?? null, volume, labels, Date.now());
    return this.mounts(this.table.find(key));
  }

  mounts(row: Row): Mount[] {
    const { name, kind, volume, parent } = row;
    if (kind === "committed") throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: is committed`);
    const source = this.path(volume === null ? this.table.find(parent ?? "") : row);
    return [{ type: "bind", source, options: [kind === "view" ? "ro" : "rw", "rbind"] }];
  }

  commit(name: string, key: string, options: CreateOptions): void {
    const labels = labelsText(name, options.labels);
    this.table.mustBeFree(name);
    const row = this.table.find(key, "active");
    if (!isVolume(this.path(row))) throw new CodedError("ERR_DATA_LOSS", `snapshot ${key}: ${this.path(row)} is gone`);
    // Before the record says that it is committed.
    btrfs("filesystem", "sync", this.path(row));
    const { bytes, inodes } = this.usage(row);
    const sql = "UPDATE snapshots SET name = ?, kind = 'committed', labels = ?, bytes = ?, inodes = ?";
    const where = "updated = max(updated + 1, ?) WHERE name = ?";
    this.table.all(`${sql}, ${where}`, name, labels, bytes, inodes, Date.now(), key);
  }

  usage(row: Row): Usage {
    if (row.kind !== "active") return { bytes: row.bytes, inodes: row.inodes };
    // A file that is as it was in the parent has its number and its change time.
    const below = new Set(row.parent === null ? [] : inodesIn(this.path(this.table.find(row.parent))));
    const own = new Set(inodesIn(this.path(row)).filter((inode) => !below.has(inode)));
    return { bytes: [...own].reduce((sum, text) => sum + Number.parseInt(text, 10) * 512, 0), inodes: own.size };
  }

  clean(): void {
    for (const row of this.table.all("SELECT * FROM snapshots WHERE kind <> 'committed' AND volume IS NOT NULL")) {
      if (!isVolume(this.path(row))) this.table.all("DELETE FROM snapshots WHERE name = ?", row.name);
    }
    const known = new Set(this.table.all("SELECT * FROM snapshots").map(({ volume }) => volume));
    const litter = readdirSync(this.#root).filter((name) => name.startsWith("volume-") && !known.has(name));
    for (const name of litter) deleteVolume(join(this.#root, name));
  }
}

function btrfs(...args: string[]): void {
  execFileSync("btrfs", args, { stdio: ["ignore", "ignore", "pipe"] });
}

/** Blocks, number and change time of everything in a tree. */
function inodesIn(path: string): string[] {
  const args = [path, "-xdev", "-printf", "%b %i %C@\n"];
  return execFileSync("find", args, { encoding: "latin1", maxBuffer: 2 ** 30 })
    .trim()
    .split("\n");
}

/** Not what somebody has put in its place: only the root of a subvolume has this number. */
function isVolume(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.ino === 256;
}

function deleteVolume(path: string): void {
  // btrfs(8) would follow a link.
  if (!isVolume(path)) rmSync(path, { recursive: true, force: true });
  else if (!readFileSync("/proc/self/mountinfo", "latin1").includes(basename(path))) btrfs("subvolume", "delete", path);
}
