import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { fakeRegistry, send } from "./fake-registry.ts";
import type { FakeRegistry, Seen } from "./fake-registry.ts";
import type { ServerResponse } from "node:http";

interface Stored {
  readonly type: string;
  readonly bytes: Buffer;
}

export interface ManifestRegistryOptions {
  /** Knows several tags in one request: all, or those that it names. */
  readonly knowsTags?: boolean | ((tag: string) => boolean) | undefined;
  /** What a request with several tags is answered with, if it does not know them. Default: it takes the manifest. */
  readonly tagsStatus?: number | undefined;
  readonly saysSubject?: boolean | undefined;
  /** The referrers API answers so. Default: 404. */
  readonly referrers?: ((digest: string, response: ServerResponse, seen: Seen) => void) | undefined;
  /** Tells versions apart by `ETag`, and heeds `If-Match`, which no weak one meets. */
  readonly etags?: "strong" | "weak" | undefined;
  /** Called before a manifest is put: somebody else may be faster. Answers instead if it returns a status. */
  readonly onPut?: ((reference: string, manifests: Map<string, Stored>) => number | undefined) | undefined;
}

export interface ManifestRegistry extends FakeRegistry {
  /** By tag and by digest. */
  readonly manifests: Map<string, Stored>;
  /** `METHOD reference`, digests shortened. */
  steps(): string[];
}

const prefix = "/v2/lib/app/";

/** A registry of manifests only, in one repository. */
export async function manifestRegistry(options: ManifestRegistryOptions = {}): Promise<ManifestRegistry> {
  const manifests = new Map<string, Stored>();
  const registry = await fakeRegistry((seen, response) => {
    const url = new URL(seen.path, "http://registry");
    const [kind, name = ""] = url.pathname.slice(prefix.length).split("/");
    if (kind === "referrers")
      return options.referrers === undefined ? send(response, 404) : options.referrers(name, response, seen);
    if (seen.method === "PUT") return put(name, url, { seen, response, manifests, options });
    if (seen.method === "DELETE") return send(response, manifests.delete(name) ? 202 : 404);
    const stored = manifests.get(name);
    if (stored === undefined) return send(response, 404);
    const digest = digestOf(stored.bytes);
    const etag: Record<string, string> =
      options.etags === undefined ? {} : { etag: `${options.etags === "weak" ? "W/" : ""}"${digest}"` };
    const headers = { "content-type": stored.type, "docker-content-digest": digest, ...etag };
    return send(response, 200, headers, seen.method === "HEAD" ? "" : stored.bytes);
  });
  const steps = (): string[] =>
    registry.seen.map(({ method, path }) => {
      const short = path.slice(prefix.length).replaceAll(/(sha\d+[:-])([0-9a-f]{6})[0-9a-f]+/g, "$1$2");
      return `${method} ${short.replace(/^manifests\//, "")}`;
    });
  return Object.assign(registry, { manifests, steps });
}

interface Put {
  readonly seen: Seen;
  readonly response: ServerResponse;
  readonly manifests: Map<string, Stored>;
  readonly options: ManifestRegistryOptions;
}

function put(name: string, url: URL, { seen, response, manifests, options }: Put): void {
  const tags = url.searchParams.getAll("tag");
  if (tags.length > 0 && options.tagsStatus !== undefined) return send(response, options.tagsStatus);
  const status = options.onPut?.(name, manifests);
  if (status !== undefined) return send(response, status);
  const stored = { type: String(seen.headers["content-type"]), bytes: seen.body };
  const digest: Digest = digestOf(seen.body);
  const current = manifests.get(name);
  const expected = seen.headers["if-match"];
  if (options.etags !== undefined && expected !== undefined && expected !== `"${current && digestOf(current.bytes)}"`) {
    return send(response, 412);
  }
  const { knowsTags = false } = options;
  const taken = tags.filter((tag) => (typeof knowsTags === "boolean" ? knowsTags : knowsTags(tag)));
  for (const reference of [name, digest, ...taken]) manifests.set(reference, stored);
  return send(response, 201, {
    "docker-content-digest": digest,
    ...(taken.length > 0 && { "oci-tag": taken.join(", ") }),
    ...(options.saysSubject === true && { "oci-subject": digest }),
  });
}
