import type { Dispatcher } from "undici";
import { parseChallenges } from "../auth/challenge.ts";
import type { Settings } from "../options.ts";
import { describeUrl, printable } from "./printable.ts";
import { openRequestHeaders } from "./secrets.ts";
import type { Secrets } from "./secrets.ts";

const maxValue = 1000;

// Shown as they are; of all others, only that they were there. What is not known may be a key.
const openResponseHeaders: ReadonlySet<string> = new Set(
  (
    "accept-ranges age allow cache-control connection content-encoding content-length content-range content-type date " +
    "docker-content-digest docker-distribution-api-version docker-upload-uuid etag expires keep-alive last-modified " +
    "oci-chunk-min-length oci-filters-applied oci-namespace oci-subject oci-tag range ratelimit-limit " +
    "ratelimit-remaining retry-after server transfer-encoding vary via warning x-cache x-content-type-options"
  ).split(" "),
);
const openParameters: ReadonlySet<string> = new Set(["service", "scope", "error", "error_description"]);

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** One exchange that was answered, or failed. */
export interface Traced {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  /** By `performance.now()`. */
  readonly began: number;
  readonly response?: Pick<Dispatcher.ResponseData<unknown>, "statusCode" | "headers"> | undefined;
  readonly failure?: unknown;
}

/** Tells whoever wants to know of an exchange, without its secrets. */
export function trace(
  { settings, secrets }: { readonly settings: Settings; readonly secrets: Secrets },
  traced: Traced,
): void {
  if (settings.onExchange === undefined) return;
  const { method, url, headers, began, response, failure } = traced;
  settings.onExchange({
    method,
    url: secrets.hide(describeUrl(url)),
    requestHeaders: describeEach(headers, secrets, (name, value) => (openRequestHeaders.has(name) ? value : "…")),
    durationMs: performance.now() - began,
    ...(response === undefined
      ? { error: secrets.hide(failure instanceof Error ? failure.message : "failed") }
      : { status: response.statusCode, responseHeaders: describeEach(response.headers, secrets, openInAnswer) }),
  });
}

function openInAnswer(name: string, value: string): string {
  if (openResponseHeaders.has(name)) return value;
  if (name === "location") return withoutQuery(value);
  if (name === "link") return value.replaceAll(/<([^>]*)>/g, (_, target: string) => `<${withoutQuery(target)}>`);
  if (name === "www-authenticate") return describeChallenges(value);
  return "…";
}

function describeEach(
  headers: Headers,
  secrets: Secrets,
  describe: (name: string, value: string) => string,
): Record<string, string> {
  const shown: [string, string][] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue;
    const values = typeof value === "string" ? [value] : value;
    const text = values.map((one) => describe(name.toLowerCase(), one)).join(", ");
    // Names are a server's own words too.
    shown.push([printable(secrets.hide(name)), printable(secrets.hide(text)).slice(0, maxValue)]);
  }
  return Object.fromEntries(shown);
}

/** An address, whole or relative, without user, password and query. */
function withoutQuery(address: string): string {
  const url = URL.parse(address);
  if (url !== null) return url.host === "" ? "…" : describeUrl(url);
  if (address.startsWith("//")) return "…";
  const [path = "", ...query] = address.split(/[?#]/);
  return query.length === 0 ? path : `${path}?…`;
}

function describeChallenges(value: string): string {
  const described = parseChallenges(value).map(({ scheme, parameters }) => {
    const shown = Array.from(parameters, ([name, text]) => {
      if (openParameters.has(name)) return `${name}="${text}"`;
      return `${name}="${name === "realm" ? withoutQuery(text) : "…"}"`;
    });
    return [scheme, shown.join(",")].filter((part) => part !== "").join(" ");
  });
  return described.join(", ");
}
