import type { CredentialsCallback } from "@varve/credentials";

/** What an endpoint is asked for. `resolve` turns tags into digests, `pull` gets things by digest. */
export type EndpointCapability = "resolve" | "pull" | "push" | "referrers";

/** A certificate by which we prove who we are, and its key, both PEM. */
export interface ClientCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** One server that answers for a registry: the registry itself, or a mirror of it. */
export interface RegistryEndpoint {
  /** Scheme, host and port, and a path in front of the API's own if there is one: `https://mirror.example:5000`. */
  readonly url: string;
  /** Default: all. */
  readonly capabilities?: readonly EndpointCapability[] | undefined;
  /** `url` names the root of the API: no `/v2` is added. Default: false. */
  readonly overridePath?: boolean | undefined;
  /** The repository to ask for there, where it has another name. */
  readonly repository?: string | undefined;
  /** Asked for credentials for this endpoint, instead of the resolver's callback. */
  readonly credentials?: CredentialsCallback | undefined;
  /** Sent to this endpoint only, besides our own. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** PEM certificates of authorities to trust here besides those that are trusted everywhere. */
  readonly certificateAuthorities?: readonly string[] | undefined;
  readonly clientCertificates?: readonly ClientCertificate[] | undefined;
  /** Accept any certificate here. Default: false. */
  readonly skipVerify?: boolean | undefined;
  /** Whether `https` may turn out to be http. Default: only for loopback hosts that have no TLS settings of their own. */
  readonly httpFallback?: boolean | undefined;
  /** Milliseconds until a connection must stand. Default: that of the resolver. */
  readonly connectTimeout?: number | undefined;
}

/**
 * Tells which servers to ask for a repository of `host`, in that order; `undefined`: the registry itself, over its usual address.
 * Asked once for each repository. An error, such as ERR_PERMISSION_DENIED for a blocked registry, ends the request.
 */
export type EndpointsCallback = (host: string, repository: string) => Promise<readonly RegistryEndpoint[] | undefined>;
