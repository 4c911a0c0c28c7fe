import { canLabel } from "@varve/content";
import type { BlobInfo, ContentStore, Labeler } from "@varve/content";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { BoundedMap } from "./bounded-map.ts";
import type { Reference } from "./manifest-facts.ts";
import { ProtocolError } from "./protocol-error.ts";
import type { StoredManifests } from "./stored-manifests.ts";
import type { TagStore } from "./tag-store.ts";

const labelPrefix = "dev.varve/registry.repository.";
/** Where blobs were last found, so that the next question needs one look at a tag. */
const maxRoutes = 10_000;
/** Of one blob: all of them are read and written with each change, and clients make them with a mount each. */
const maxLabels = 20_000;
/** Manifests that are looked through to find one blob. */
const maxVisited = 10_000;

export interface RepositoriesOptions {
  readonly content: ContentStore;
  readonly tags: TagStore;
  readonly manifests: StoredManifests;
  /** Whether everybody may read everything. */
  readonly isOpen: boolean;
}

/**
 * Which blobs and manifests a repository has. One content store holds them all, so that knowing a digest must not be enough:
 * a repository has what was pushed or mounted there, and what its tags lead to.
 *
 * The first is written down as a label on the blob, or in memory where the store keeps no labels. Only manifests that came
 * past this server (from a pull, say) lead to anything: one that was pushed may name what its author has never had.
 */
export class Repositories {
  readonly #options: RepositoriesOptions;
  readonly #labeler: Labeler | undefined;
  /** Of stores without labels. */
  readonly #members = new Map<string, Set<Digest>>();
  readonly #routes = new BoundedMap<{ readonly tag: string; readonly root: Digest }>(maxRoutes);

  constructor(options: RepositoriesOptions) {
    this.#options = options;
    this.#labeler = canLabel(options.content) ? options.content : undefined;
  }

  /** What the store knows of a blob, if one of these repositories has it. */
  async find(names: readonly string[], digest: Digest, signal: AbortSignal): Promise<BlobInfo | undefined> {
    const info = await this.#options.manifests.info(digest, signal);
    if (info === undefined) return undefined;
    for (const name of names) {
      if (this.#isMember(name, info) || (await this.#isReached(name, digest, signal))) return info;
    }
    return undefined;
  }

  /** Whether the blob was pushed, mounted or fetched there. */
  #isMember(repository: string, { digest, labels }: BlobInfo): boolean {
    if (this.#labeler !== undefined) return Object.hasOwn(labels, labelPrefix + repository);
    return this.#members.get(repository)?.has(digest) === true;
  }

  /** What to give to the commit of a blob that is put there; `add` is needed all the same. */
  labelsFor(repository: string): Readonly<Record<string, string>> {
    return { [labelPrefix + repository]: "" };
  }

  /** Notes that a repository has a blob. */
  async add(repository: string, digest: Digest, signal: AbortSignal): Promise<void> {
    if (this.#labeler === undefined) {
      const members = this.#members.get(repository) ?? new Set<Digest>();
      this.#members.set(repository, members.add(digest));
      return;
    }
    const info = await this.#options.manifests.info(digest, signal);
    if (info !== undefined && this.#isMember(repository, info)) return;
    if (Object.keys(info?.labels ?? {}).length > maxLabels) {
      throw new ProtocolError("DENIED", "too many repositories have this");
    }
    await this.#labeler.label(digest, this.labelsFor(repository), { signal });
  }

  /** As `add`, if the store has the blob at all; says whether. */
  async addIfStored(repository: string, digest: Digest, signal: AbortSignal): Promise<boolean> {
    if ((await this.#options.manifests.info(digest, signal)) === undefined) return false;
    await this.add(repository, digest, signal);
    return true;
  }

  /**
   * Makes what a pushed manifest names the repository's own, with all that is below it: from now on the tag that led there
   * may lead elsewhere.
   *
   * @returns whether the repository has it
   */
  async adopt(repository: string, { digest, isManifest }: Reference, signal: AbortSignal): Promise<boolean> {
    const info = await this.#options.manifests.info(digest, signal);
    if (info === undefined) return false;
    if (this.#isMember(repository, info)) return true;
    if (!(await this.#isReached(repository, digest, signal))) return false;
    await this.add(repository, digest, signal);
    if (!isManifest) return true;
    for (const below of await this.#below([digest], signal)) {
      if ((await this.#options.manifests.info(below, signal)) !== undefined) await this.add(repository, below, signal);
    }
    return true;
  }

  /** Takes a blob out of a repository. Its bytes stay for others, and for the store to collect. */
  async remove(repository: string, digest: Digest, signal: AbortSignal): Promise<void> {
    this.#members.get(repository)?.delete(digest);
    if (this.#members.get(repository)?.size === 0) this.#members.delete(repository);
    try {
      await this.#labeler?.label(digest, { [labelPrefix + repository]: undefined }, { signal });
    } catch (error) {
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    }
  }

  /** Whether something that the repository has a name for needs a blob; what is `except` itself does not count. */
  async needs(repository: string, digest: Digest, except: Digest | undefined, signal: AbortSignal): Promise<boolean> {
    const named = await this.#options.tags.list(repository);
    const roots = new Set(named.map(({ target }) => target.digest));
    if (except !== undefined) roots.delete(except);
    return this.#leadsTo([...roots], digest, signal);
  }

  async #isReached(repository: string, digest: Digest, signal: AbortSignal): Promise<boolean> {
    // Without labels nobody can tell after a restart which manifests were pushed.
    if (this.#labeler === undefined && !this.#options.isOpen) return this.#isNamed(repository, digest);
    const key = `${repository} ${digest}`;
    const route = this.#routes.get(key);
    if (route !== undefined) {
      const target = await this.#options.tags.get(repository, route.tag);
      if (target?.digest === route.root) return true;
      this.#routes.delete(key);
    }
    for (const { tag, target } of await this.#options.tags.list(repository)) {
      if (target.digest !== digest && !(await this.#isTrusted(repository, target.digest, signal))) continue;
      if (!(await this.#leadsTo([target.digest], digest, signal))) continue;
      if (tag !== undefined) this.#routes.set(key, { tag, root: target.digest });
      return true;
    }
    return false;
  }

  async #isNamed(repository: string, digest: Digest): Promise<boolean> {
    const named = await this.#options.tags.list(repository);
    return named.some(({ target }) => target.digest === digest);
  }

  async #isTrusted(repository: string, root: Digest, signal: AbortSignal): Promise<boolean> {
    const info = await this.#options.manifests.info(root, signal);
    return info !== undefined && !this.#isMember(repository, info);
  }

  async #leadsTo(roots: readonly Digest[], digest: Digest, signal: AbortSignal): Promise<boolean> {
    return roots.includes(digest) || (await this.#below(roots, signal, digest)).has(digest);
  }

  /** Everything that these manifests name, and what that names, until `wanted` is found. */
  async #below(roots: readonly Digest[], signal: AbortSignal, wanted?: Digest): Promise<ReadonlySet<Digest>> {
    const found = new Set<Digest>();
    const toVisit = new Set<Digest>(roots);
    // What is added while it runs is visited as well.
    for (const manifest of toVisit) {
      for (const { digest, isManifest } of await this.#options.manifests.references(manifest, signal)) {
        found.add(digest);
        if (digest === wanted) return found;
        if (isManifest && toVisit.size < maxVisited) toVisit.add(digest);
      }
    }
    return found;
  }
}
