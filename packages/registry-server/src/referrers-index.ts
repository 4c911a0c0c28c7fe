import { canLabel, labelGcBackRefPrefix } from "@varve/content";
import type { ContentStore } from "@varve/content";
import { isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";

const labelSubject = "dev.varve/registry.subject";

/**
 * Which manifests have which subject. Stores with labels have it written on the manifests, and it is read from there once
 * after the start; over other stores it is known of what was pushed since.
 */
export class ReferrersIndex {
  readonly #content: ContentStore;
  readonly #referrers = new Map<Digest, Set<Digest>>();
  #loaded: Promise<void> | undefined;

  constructor(content: ContentStore) {
    this.#content = content;
  }

  /** Labels for a manifest with this subject. The second keeps it in a store that collects, as long as its subject is kept. */
  labelsFor(subject: Digest): Readonly<Record<string, string>> {
    return { [labelSubject]: subject, [`${labelGcBackRefPrefix}content.subject`]: subject };
  }

  add(subject: Digest, referrer: Digest): void {
    const referrers = this.#referrers.get(subject) ?? new Set<Digest>();
    this.#referrers.set(subject, referrers.add(referrer));
  }

  /** The manifests with this subject, in order; some may have gone since. */
  async of(subject: Digest): Promise<readonly Digest[]> {
    this.#loaded ??= this.#load().catch((error: unknown) => {
      this.#loaded = undefined;
      throw error;
    });
    await this.#loaded;
    return [...(this.#referrers.get(subject) ?? [])].toSorted();
  }

  async #load(): Promise<void> {
    if (!canLabel(this.#content)) return;
    for await (const { digest, labels } of this.#content.walk({ filters: [`labels."${labelSubject}"`] })) {
      const subject = labels[labelSubject];
      if (isDigest(subject)) this.add(subject, digest);
    }
  }
}
