import { execFileSync } from "node:child_process";
import { chmodSync, lstatSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import type { Mount, Mounter } from "@varve/mount";
import type {
  CallOptions,
  Cleaner,
  CreateOptions,
  LabelChanges,
  Rebaser,
  SnapshotInfo,
  SnapshotKind,
  Snapshotter,
  Usage,
} from "@varve/snapshots";

export interface Entry {
  kind: SnapshotKind;
  name: string;
  parent: string | undefined;
  labels: Record<string, string>;
  createdAt: Date;
  updatedAt: Date;
  directory: string;
  usage: Usage | undefined;
}

/** What all instances of one place share. */
export interface Place {
  readonly root: string;
  entries: Map<string, Entry>;
  next: number;
  opened: number;
}

/** A snapshotter that copies with cp(1) and remembers in memory. It keeps the contract; the saboteurs break it. */
export class Toy implements Snapshotter, Cleaner, Rebaser {
  place: Place;

  constructor(place: Place) {
    this.place = place;
    place.opened += 1;
  }

  entry(name: string): Entry {
    const entry = this.place.entries.get(name);
    if (entry === undefined) throw new CodedError("ERR_NOT_FOUND", `snapshot ${name}: not found`);
    return entry;
  }

  async stat(name: string, options: CallOptions = {}): Promise<SnapshotInfo> {
    options.signal?.throwIfAborted();
    return info(this.entry(name));
  }

  async update(name: string, labels: LabelChanges, options: CallOptions = {}): Promise<SnapshotInfo> {
    options.signal?.throwIfAborted();
    const entry = this.entry(name);
    const changed = new Map(Object.entries(entry.labels));
    for (const [label, value] of Object.entries(labels)) {
      if (Buffer.byteLength(label) + Buffer.byteLength(value ?? "") > 4096) {
        throw new CodedError("ERR_INVALID_ARGUMENT", `snapshot ${name}: label too long`);
      }
      if (value === undefined) changed.delete(label);
      else changed.set(label, value);
    }
    entry.labels = Object.fromEntries(changed);
    entry.updatedAt = new Date();
    return info(entry);
  }

  async usage(name: string, options: CallOptions = {}): Promise<Usage> {
    options.signal?.throwIfAborted();
    const entry = this.entry(name);
    if (entry.kind === "view") return { bytes: 0, inodes: 0 };
    return entry.usage ?? measure(entry.directory);
  }

  async mounts(key: string, options: CallOptions = {}): Promise<readonly Mount[]> {
    options.signal?.throwIfAborted();
    const entry = this.entry(key);
    if (entry.kind === "committed") throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${key}: is committed`);
    return mountsOf(entry);
  }

  async prepare(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<readonly Mount[]> {
    return this.create("active", key, { ...options, parent });
  }

  async view(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<readonly Mount[]> {
    return this.create("view", key, { ...options, parent });
  }

  async create(
    kind: SnapshotKind,
    key: string,
    options: CreateOptions & { readonly parent: string | undefined },
  ): Promise<readonly Mount[]> {
    const { parent, labels = {}, signal } = options;
    signal?.throwIfAborted();
    await turn();
    signal?.throwIfAborted();
    this.mustBeFree(key);
    const below = parent === undefined ? undefined : this.committed(parent);
    this.place.next += 1;
    const directory = join(this.place.root, String(this.place.next));
    mkdirSync(directory);
    chmodSync(directory, 0o755);
    if (below !== undefined) execFileSync("cp", ["-a", `${below.directory}/.`, directory]);
    const now = new Date();
    const entry: Entry = {
      kind,
      name: key,
      parent,
      labels: { ...labels },
      createdAt: now,
      updatedAt: now,
      directory,
      usage: undefined,
    };
    this.place.entries.set(key, entry);
    return mountsOf(entry);
  }

  async commit(name: string, key: string, options: CreateOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    await turn();
    options.signal?.throwIfAborted();
    this.mustBeFree(name);
    const entry = this.active(key);
    this.place.entries.delete(key);
    const now = new Date();
    this.place.entries.set(name, {
      ...entry,
      name,
      kind: "committed",
      labels: { ...options.labels },
      createdAt: now,
      updatedAt: now,
      usage: measure(entry.directory),
    });
  }

  async remove(name: string, options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const entry = this.entry(name);
    for (const other of this.place.entries.values()) {
      if (other.parent === name) throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: has children`);
    }
    this.place.entries.delete(name);
    rmSync(entry.directory, { recursive: true, force: true });
  }

  async *walk(options: CallOptions = {}): AsyncIterable<SnapshotInfo> {
    options.signal?.throwIfAborted();
    const infos = Array.from(this.place.entries.values(), info);
    yield* infos;
  }

  async cleanup(options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
  }

  async rebase(key: string, parent: string, options: CallOptions = {}): Promise<readonly Mount[]> {
    options.signal?.throwIfAborted();
    const entry = this.active(key);
    const below = this.committed(parent);
    if (entry.parent === undefined) {
      execFileSync("cp", ["-an", `${below.directory}/.`, entry.directory]);
      entry.parent = parent;
    } else if (entry.parent !== parent) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `snapshot ${key}: has another parent`);
    }
    return mountsOf(entry);
  }

  async close(): Promise<void> {
    // Nothing is held.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  mustBeFree(name: string): void {
    if (this.place.entries.has(name)) throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${name}: already exists`);
  }

  active(key: string): Entry {
    const entry = this.entry(key);
    if (entry.kind !== "active") throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${key}: is not active`);
    return entry;
  }

  committed(name: string): Entry {
    const entry = this.entry(name);
    if (entry.kind !== "committed")
      throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: is not committed`);
    return entry;
  }
}

/** By mount(8), for this package may not use the one of a backend. */
export const commandMounter: Mounter = {
  async mount(mounts, target) {
    for (const { source, options } of mounts) {
      execFileSync("mount", [
        "-o",
        ["bind", ...options.filter((option) => option !== "rbind")].join(","),
        source,
        target,
      ]);
    }
  },
  async unmount(target) {
    execFileSync("umount", [target]);
  },
};

export function mountsOf(entry: Entry): readonly Mount[] {
  return [{ type: "bind", source: entry.directory, options: [entry.kind === "view" ? "ro" : "rw", "rbind"] }];
}

export function measure(directory: string): Usage {
  const names = ["", ...readdirSync(directory, { recursive: true, encoding: "utf8" })];
  const seen = new Map(
    names.map((name) => {
      const stat = lstatSync(join(directory, name), { throwIfNoEntry: false });
      return [stat?.ino ?? -1, stat?.blocks ?? 0];
    }),
  );
  return { bytes: [...seen.values()].reduce((sum, blocks) => sum + blocks * 512, 0), inodes: seen.size };
}

function info(entry: Entry): SnapshotInfo {
  const { kind, name, parent, labels, createdAt, updatedAt } = entry;
  return { kind, name, parent, labels: Object.fromEntries(Object.entries(labels)), createdAt, updatedAt };
}
