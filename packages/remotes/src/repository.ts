import type { CallOptions } from "@varve/content";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";
import type { Resolver } from "./resolver.ts";

export interface TagsOptions extends CallOptions {
  /** Only the tags after this one, in the order of the other side. */
  readonly last?: string | undefined;
  /** Tags that are asked for at once; the other side may give fewer. Default: 1000. */
  readonly pageSize?: number | undefined;
}

export interface ReferrersOptions extends CallOptions {
  /** Only artifacts of this type. */
  readonly artifactType?: string | undefined;
}

/** What one repository holds, and how to take something out of it. */
export interface Repository {
  /**
   * Yields the tags, page by page.
   *
   * @throws ERR_NOT_FOUND there is no such repository, or it is not shown to this caller
   */
  tags(options?: TagsOptions): AsyncIterable<string>;
  /**
   * Tells the size of a blob, without its bytes. `Resolver.resolve` asks for a manifest first; some registries fail on a digest that
   * is none's.
   *
   * @throws ERR_NOT_FOUND the repository has no such blob
   */
  blob(digest: Digest, options?: CallOptions): Promise<Descriptor>;
  /**
   * Yields the manifests that name `subject` as their subject, each once; none if nobody does. Asks the registry's list, and the
   * index under the fallback tag where there is no list (distribution specification, "Listing Referrers").
   */
  referrers(subject: Digest, options?: ReferrersOptions): AsyncIterable<Descriptor>;
  /**
   * Deletes a tag, or by its digest a manifest with all its tags.
   *
   * @throws ERR_NOT_FOUND there is no such tag or manifest
   * @throws ERR_NOT_IMPLEMENTED the registry deletes nothing, or no tags
   */
  deleteManifest(reference: string, options?: CallOptions): Promise<void>;
  /**
   * Deletes a blob.
   *
   * @throws ERR_NOT_FOUND, ERR_NOT_IMPLEMENTED
   */
  deleteBlob(digest: Digest, options?: CallOptions): Promise<void>;
}

/** A resolver that can also look around in repositories. */
export interface Repositories {
  /** The repository of `reference`; asks nothing yet. */
  repository(reference: string): Repository;
}

export function hasRepositories<T extends Resolver>(resolver: T): resolver is T & Repositories {
  return "repository" in resolver && typeof resolver.repository === "function";
}
