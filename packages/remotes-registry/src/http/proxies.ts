import { CodedError } from "@varve/errors";
import { isLoopback } from "../auth/realm.ts";
import type { ProxyOptions } from "../options.ts";
import { bareHost, parseNoProxy } from "./no-proxy.ts";

/** A proxy, and how it is told who we are. */
export interface Proxy {
  readonly url: URL;
  /** Host and port, for messages. */
  readonly host: string;
  /** `Proxy-Authorization`. */
  readonly authorization: string | undefined;
}

/** Tells for an address through which proxy to ask for it, if any. */
export type ProxyChoice = (url: URL) => Proxy | undefined;

/**
 * Chooses as the options say, or, without options, as the environment does: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
 * `NO_PROXY`, the lower-case form first. This machine is asked without a proxy then, as Go does it.
 *
 * @throws ERR_INVALID_ARGUMENT a proxy is no address
 * @throws ERR_NOT_IMPLEMENTED a proxy speaks neither http nor https
 */
export function chooseProxies(
  options: ProxyOptions | false | undefined,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ProxyChoice {
  if (options === false) return () => undefined;
  const { http, https, noProxy } = options ?? fromEnvironment(environment);
  const [forHttp, forHttps] = [lazily(http), lazily(https)];
  const direct = parseNoProxy(noProxy ?? "");
  return (url) => {
    if (options === undefined && isLoopback(bareHost(url))) return undefined;
    if (direct(url)) return undefined;
    return url.protocol === "https:" ? forHttps() : forHttp();
  };
}

function fromEnvironment(environment: Readonly<Record<string, string | undefined>>): ProxyOptions {
  const read = (name: string): string | undefined => {
    // In a CGI script, `HTTP_PROXY` is the header `Proxy` of whoever asked.
    const isHeader = name === "http_proxy" && environment["REQUEST_METHOD"] !== undefined;
    const value = environment[name] ?? (isHeader ? undefined : environment[name.toUpperCase()]);
    return value === "" ? undefined : value;
  };
  const all = read("all_proxy");
  return { http: read("http_proxy") ?? all, https: read("https_proxy") ?? all, noProxy: read("no_proxy") };
}

/** A proxy that is never needed may be wrong. */
function lazily(text: string | undefined): () => Proxy | undefined {
  let parsed: Proxy | undefined;
  return () => {
    if (text !== undefined && text !== "") parsed ??= parseProxy(text);
    return parsed;
  };
}

function parseProxy(text: string): Proxy {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  // Nothing of it is shown: it may hold a password.
  if (url === null || url.hostname === "") throw new CodedError("ERR_INVALID_ARGUMENT", "proxy: not an address");
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    const scheme = url.protocol.slice(0, -1);
    throw new CodedError("ERR_NOT_IMPLEMENTED", `proxy ${url.host}: ${scheme} is not supported, only http and https`);
  }
  const user = `${decoded(url.username)}:${decoded(url.password)}`;
  const authorization = user === ":" ? undefined : `Basic ${Buffer.from(user, "utf8").toString("base64")}`;
  return { url: new URL(url.origin), host: url.host, authorization };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
