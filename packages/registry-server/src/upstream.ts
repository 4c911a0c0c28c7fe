import type { CallOptions } from "@varve/content";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";

export interface UpstreamFetchOptions extends CallOptions {
  /** The first byte wanted. Default: 0. */
  readonly offset?: number | undefined;
}

/**
 * The registry that a pull-through server stands in front of. What its calls throw is told to clients as a failure of that
 * registry: ERR_NOT_FOUND, ERR_UNAUTHENTICATED, ERR_PERMISSION_DENIED, ERR_RATE_LIMITED and ERR_NOT_IMPLEMENTED by their
 * meaning, everything else as its being out of reach.
 */
export interface Upstream {
  /** What a tag stands for there now; `undefined`: it has no such tag. */
  resolve(repository: string, tag: string, options: CallOptions): Promise<Descriptor | undefined>;
  /** The manifest with this digest; `undefined`: that repository has no such manifest. */
  manifest(repository: string, digest: Digest, options: CallOptions): Promise<Descriptor | undefined>;
  /** The blob with this digest; `undefined`: that repository has no such blob, whoever else has it. */
  blob(repository: string, digest: Digest, options: CallOptions): Promise<Descriptor | undefined>;
  /** The bytes of either, from an offset on. They are verified by the server. */
  fetch(repository: string, descriptor: Descriptor, options: UpstreamFetchOptions): AsyncIterable<Uint8Array>;
  /** The tags of a repository, in the order of the other side. */
  tags(repository: string, options: CallOptions): AsyncIterable<string>;
  /** The manifests with this subject, as the other side describes them. */
  referrers(repository: string, subject: Digest, options: CallOptions): AsyncIterable<Descriptor>;
}

/**
 * One registry, whatever clients take this server for; or, where it is a mirror of several, the one for what they say
 * (`ns`, as containerd asks mirrors; `undefined`: they say nothing). `undefined` is refused.
 */
export type UpstreamChoice = Upstream | ((ns: string | undefined) => Upstream | undefined);
