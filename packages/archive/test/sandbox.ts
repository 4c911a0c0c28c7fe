import { chownSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLayerWriter, settleLayer, type ApplyResult, type LayerWriterOptions } from "@varve/archive";
import { isSupported, MNT_DETACH, mount, MS_RDONLY, umount2, UMOUNT_NOFOLLOW } from "@varve/syscalls";

export const isRoot: boolean = process.getuid?.() === 0;

/** A temporary directory with mounts in it, all gone when it is disposed. */
export class Sandbox implements Disposable {
  readonly path: string;
  readonly #mounts: string[] = [];
  #count = 0;

  constructor(parent: string = tmpdir()) {
    this.path = mkdtempSync(join(parent, "varve-archive-"));
  }

  /** A new empty directory. */
  directory(): string {
    this.#count += 1;
    const path = join(this.path, String(this.#count));
    mkdirSync(path);
    // What a snapshotter's new directory has; the same for each, so that roots can be compared.
    utimesSync(path, 1, 1);
    return path;
  }

  /** Mounts an overlay; lower layers from the lowest up. Without an upper one it can only be read. */
  overlay(lowers: readonly string[], upper?: string, options: readonly string[] = []): string {
    const target = this.directory();
    const below = lowers.length > 0 ? lowers.toReversed() : [this.directory()];
    // Two directories at least are needed to mount without an upper one.
    if (upper === undefined && below.length === 1) below.push(this.directory());
    const data = [`lowerdir=${below.join(":")}`, ...options];
    if (upper !== undefined) data.push(`upperdir=${upper}`, `workdir=${this.directory()}`);
    mount(target, {
      source: "overlay",
      type: "overlay",
      flags: upper === undefined ? MS_RDONLY : 0,
      data: data.join(),
    });
    this.#mounts.push(target);
    return target;
  }

  unmount(target: string): void {
    umount2(target, UMOUNT_NOFOLLOW);
    if (this.#mounts.includes(target)) this.#mounts.splice(this.#mounts.indexOf(target), 1);
  }

  [Symbol.dispose](): void {
    for (const target of this.#mounts.toReversed()) umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW);
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Applies a whole archive at once. */
export function apply(layer: Buffer, root: string, options?: LayerWriterOptions): ApplyResult {
  const writer = createLayerWriter(root, options);
  writer.write(layer);
  return writer.end();
}

export const nobody = 65_534;

/** Works as somebody without any right, on directories that are theirs. */
export function asNobody<T>(box: Sandbox, roots: readonly string[], work: () => T): T {
  if (!isRoot) return work();
  // Loaded at the first call, from where only root may be able to read.
  isSupported();
  for (const path of [box.path, ...roots]) chownSync(path, nobody, nobody);
  process.seteuid?.(nobody);
  try {
    return work();
  } finally {
    process.seteuid?.(0);
  }
}

/** Layers in one directory, one after another. */
export function applyInPlace(box: Sandbox, layers: readonly Buffer[], options?: LayerWriterOptions): string {
  const root = box.directory();
  for (const layer of layers) apply(layer, root, options);
  return root;
}

export interface Stack {
  /** The overlay of all layers. */
  readonly root: string;
  /** How many layers had to be applied in place after all. */
  readonly redone: number;
}

/** Layers in directories of an overlay, each written before those below it are there. */
export function applyStaged(box: Sandbox, layers: readonly Buffer[], options?: LayerWriterOptions): Stack {
  const staged = layers.map((layer) => {
    const upper = box.directory();
    return { layer, upper, result: apply(layer, upper, { ...options, target: "overlay" }) };
  });
  const done: string[] = [];
  let redone = 0;
  for (const { layer, upper, result } of staged) {
    const questions = structuredClone(result.questions);
    if (questions === undefined) throw new Error("no questions");
    const lower = done.length === 0 ? undefined : done.length === 1 ? done[0] : box.overlay(done);
    if (settleLayer(upper, lower, questions).redo) {
      redone += 1;
      done.push(applyThroughMount(box, done, layer, options));
    } else done.push(upper);
  }
  return { root: box.overlay(done), redone };
}

/** Applies a layer through a mounted overlay and returns its upper directory. */
function applyThroughMount(
  box: Sandbox,
  lowers: readonly string[],
  layer: Buffer,
  options?: LayerWriterOptions,
): string {
  const upper = box.directory();
  const merged = box.overlay(lowers, upper);
  apply(layer, merged, options);
  box.unmount(merged);
  return upper;
}

/** Layers in directories of an overlay, each through the mount of those below it. */
export function applyMounted(box: Sandbox, layers: readonly Buffer[]): string {
  const done: string[] = [];
  for (const layer of layers) done.push(applyThroughMount(box, done, layer));
  return box.overlay(done);
}

/** What this process has open, but for the channels that Node and the test runner open and close for themselves. */
export function openDescriptors(): string[] {
  return readdirSync("/proc/self/fd")
    .map((fd) => `${fd} ${targetOf(fd)}`)
    .filter((line) => !/ (?:socket|pipe|anon_inode:\[event\w+\]|gone)\b/.test(line));
}

function targetOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // That of the list itself.
    return "gone";
  }
}
