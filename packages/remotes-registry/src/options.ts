import { readFileSync } from "node:fs";

/** What proves who we are. Which form is right depends on where it comes from (docker `auths`, a credential helper). */
export type Credentials =
  | { readonly username: string; readonly password: string }
  /** A refresh token: exchanged for access tokens at the registry's token server. */
  | { readonly identityToken: string }
  /** An access token: sent as it is, without asking a token server. */
  | { readonly registryToken: string };

/**
 * Finds credentials for one repository; `undefined` means none, and the registry is asked anonymously.
 * Asked once for each repository. `host` is as in references: `docker.io`, `localhost:5000`.
 */
export type CredentialsCallback = (host: string, repository: string) => Promise<Credentials | undefined>;

export interface RegistryResolverOptions {
  /**
   * Hosts that are asked by http. Default: none.
   * Loopback hosts need no entry: they are asked by https, and by http when they do not speak TLS.
   */
  readonly plainHttp?: boolean | ((host: string) => boolean) | undefined;
  readonly credentials?: CredentialsCallback | undefined;
  /** Sent to registries besides our own headers; never to hosts that a registry redirects to, nor to token servers. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Default: `varve/<version>`. */
  readonly userAgent?: string | undefined;
  /** PEM certificates of authorities to trust besides those that Node trusts. */
  readonly certificateAuthorities?: readonly string[] | undefined;
  /** Blobs moved at the same time from or to one host. Default: 6. */
  readonly maxConcurrentPerHost?: number | undefined;
  /** Milliseconds until a connection must stand. Default: 10,000. */
  readonly connectTimeout?: number | undefined;
  /** Milliseconds without a byte until a request counts as stalled. Default: 60,000. */
  readonly idleTimeout?: number | undefined;
  /** How often a failed request is repeated, and a broken transfer continued without any byte gained. Default: 4. */
  readonly retries?: number | undefined;
  /** Milliseconds before the first repetition; doubles with each one, up to 5 seconds, with jitter. Default: 200. */
  readonly retryDelay?: number | undefined;
  /** Longest `Retry-After` to wait for, in milliseconds; a longer one fails at once. Default: 60,000. */
  readonly maxRetryAfter?: number | undefined;
  /** Largest manifest that is accepted, in bytes. Default: 8 MiB. */
  readonly maxManifestSize?: number | undefined;
}

/** The options with their defaults filled in. */
export interface Settings {
  readonly plainHttp: (host: string) => boolean;
  readonly credentials: CredentialsCallback;
  readonly headers: Readonly<Record<string, string>>;
  readonly userAgent: string;
  readonly certificateAuthorities: readonly string[];
  readonly maxConcurrentPerHost: number;
  readonly connectTimeout: number;
  readonly idleTimeout: number;
  readonly retries: number;
  readonly retryDelay: number;
  readonly maxRetryAfter: number;
  readonly maxManifestSize: number;
}

export function settingsFrom(options: RegistryResolverOptions): Settings {
  const { plainHttp = false } = options;
  return {
    plainHttp: typeof plainHttp === "function" ? plainHttp : () => plainHttp,
    credentials: options.credentials ?? (async () => undefined),
    headers: lowerCased(options.headers ?? {}),
    userAgent: options.userAgent ?? `varve/${ownVersion()}`,
    certificateAuthorities: options.certificateAuthorities ?? [],
    maxConcurrentPerHost: options.maxConcurrentPerHost ?? 6,
    connectTimeout: options.connectTimeout ?? 10_000,
    idleTimeout: options.idleTimeout ?? 60_000,
    retries: options.retries ?? 4,
    retryDelay: options.retryDelay ?? 200,
    maxRetryAfter: options.maxRetryAfter ?? 60_000,
    maxManifestSize: options.maxManifestSize ?? 8 * 1024 * 1024,
  };
}

/** From the package's own description, which is beside `src` as beside `dist`; `0` inside a bundle. */
function ownVersion(): string {
  try {
    const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
    return /"name": "@varve\/remotes-registry",\s*"version": "([^"]+)"/.exec(text)?.[1] ?? "0";
  } catch {
    return "0";
  }
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
