import { readFileSync } from "node:fs";
import type { CredentialsCallback } from "@varve/credentials";
import { CodedError } from "@varve/errors";
import type { ClientCertificate, EndpointsCallback } from "./hosts/endpoint.ts";
import type { RegistryExchange, RegistryNotice } from "./notice.ts";

/** Proxies by scheme of what is asked for, as URLs, and hosts that are asked without one, as in `NO_PROXY`. */
export interface ProxyOptions {
  readonly http?: string | undefined;
  readonly https?: string | undefined;
  readonly noProxy?: string | undefined;
}

export interface RegistryResolverOptions {
  /**
   * Hosts that are asked by http. Default: none.
   * Loopback hosts need no entry: they are asked by https, and by http when they do not speak TLS.
   */
  readonly plainHttp?: boolean | ((host: string) => boolean) | undefined;
  /** Asked once for each repository, and again when what it gave is refused later. Default: none, everything is asked anonymously. */
  readonly credentials?: CredentialsCallback | undefined;
  /**
   * Told of an identity token that can be kept in the place of a password, or of the identity token in use, which may end with it.
   * Token servers are asked for one where this is set. It must not throw.
   */
  readonly onIdentityToken?: ((host: string, identityToken: string) => void) | undefined;
  /** Mirrors, and how servers are reached. Default: each registry is asked itself. */
  readonly endpoints?: EndpointsCallback | undefined;
  /** Sent to registries besides our own headers; never to hosts that a registry redirects to, nor to token servers. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Default: `varve/<version>`. */
  readonly userAgent?: string | undefined;
  /** PEM certificates of authorities to trust besides those that Node trusts. */
  readonly certificateAuthorities?: readonly string[] | undefined;
  /** For hosts that want to know who we are by TLS. */
  readonly clientCertificates?: readonly ClientCertificate[] | undefined;
  /** Hosts whose certificates are not verified. Default: none. */
  readonly skipVerify?: boolean | ((host: string) => boolean) | undefined;
  /** Default: those of the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in upper or lower case. */
  readonly proxy?: ProxyOptions | false | undefined;
  /** Use HTTP/2 where a server offers it. Default: false: a connection of its own for each transfer loses less. */
  readonly http2?: boolean | undefined;
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
  /**
   * Connections for one large blob, each for a range of it. More than one helps where the way is long; what comes out of order
   * waits in memory, and is lost if the process is killed. Default: 1.
   */
  readonly connectionsPerBlob?: number | undefined;
  /** Bytes of one range when there are several connections. Default: 8 MiB. */
  readonly rangeSize?: number | undefined;
  /** Largest body of one upload request, for gateways that limit it, in bytes. Default: none, a blob is sent in one. */
  readonly uploadChunkSize?: number | undefined;
  /** Told what is worth knowing and no error. It must not throw. */
  readonly onNotice?: ((notice: RegistryNotice) => void) | undefined;
  /** Told of every exchange when its headers are there. It must not throw. */
  readonly onExchange?: ((exchange: RegistryExchange) => void) | undefined;
}

/** The options with their defaults filled in. */
export interface Settings {
  readonly plainHttp: (host: string) => boolean;
  readonly skipVerify: (host: string) => boolean;
  readonly credentials: CredentialsCallback;
  readonly onIdentityToken: ((host: string, identityToken: string) => void) | undefined;
  readonly endpoints: EndpointsCallback;
  readonly headers: Readonly<Record<string, string>>;
  readonly userAgent: string;
  readonly certificateAuthorities: readonly string[];
  readonly clientCertificates: readonly ClientCertificate[];
  /** `undefined`: the environment's. */
  readonly proxy: ProxyOptions | false | undefined;
  readonly http2: boolean;
  readonly maxConcurrentPerHost: number;
  readonly connectTimeout: number;
  readonly idleTimeout: number;
  readonly retries: number;
  readonly retryDelay: number;
  readonly maxRetryAfter: number;
  readonly maxManifestSize: number;
  readonly connectionsPerBlob: number;
  readonly rangeSize: number;
  readonly uploadChunkSize: number | undefined;
  readonly onNotice: (notice: RegistryNotice) => void;
  readonly onExchange: ((exchange: RegistryExchange) => void) | undefined;
}

/** @throws ERR_INVALID_ARGUMENT a number is none that can be counted by: with it, waits or sizes would have no limit */
export function settingsFrom(options: RegistryResolverOptions): Settings {
  return {
    plainHttp: predicate(options.plainHttp),
    skipVerify: predicate(options.skipVerify),
    credentials: options.credentials ?? (async () => undefined),
    onIdentityToken: options.onIdentityToken,
    endpoints: options.endpoints ?? (async () => undefined),
    headers: lowerCased(options.headers ?? {}),
    userAgent: options.userAgent ?? `varve/${ownVersion()}`,
    certificateAuthorities: options.certificateAuthorities ?? [],
    clientCertificates: options.clientCertificates ?? [],
    proxy: options.proxy,
    http2: options.http2 ?? false,
    maxConcurrentPerHost: options.maxConcurrentPerHost ?? 6,
    connectTimeout: numberFrom(options, "connectTimeout", { fallback: 10_000, least: 1 }),
    idleTimeout: numberFrom(options, "idleTimeout", { fallback: 60_000, least: 1 }),
    retries: numberFrom(options, "retries", { fallback: 4, least: 0 }),
    retryDelay: numberFrom(options, "retryDelay", { fallback: 200, least: 0 }),
    maxRetryAfter: numberFrom(options, "maxRetryAfter", { fallback: 60_000, least: 0 }),
    maxManifestSize: numberFrom(options, "maxManifestSize", { fallback: 8 * 1024 * 1024, least: 1 }),
    connectionsPerBlob: options.connectionsPerBlob ?? 1,
    rangeSize: options.rangeSize ?? 8 * 1024 * 1024,
    uploadChunkSize: options.uploadChunkSize,
    onNotice: options.onNotice ?? (() => undefined),
    onExchange: options.onExchange,
  };
}

/** Timers of Node cannot count further: after that they fire at once. */
const longestTimer = 2 ** 31 - 1;

type Limit = "connectTimeout" | "idleTimeout" | "maxManifestSize" | "maxRetryAfter" | "retries" | "retryDelay";

function numberFrom(
  options: RegistryResolverOptions,
  name: Limit,
  { fallback, least }: { readonly fallback: number; readonly least: number },
): number {
  const value = options[name] ?? fallback;
  if (value >= least) return Math.min(value, longestTimer);
  throw new CodedError("ERR_INVALID_ARGUMENT", `option ${name}: ${value}: needs a number, ${least} or more`);
}

function predicate(option: boolean | ((host: string) => boolean) = false): (host: string) => boolean {
  return typeof option === "function" ? option : () => option;
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
