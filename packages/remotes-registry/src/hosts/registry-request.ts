import type { Access } from "../auth/authorizer.ts";
import { repositoryScope } from "../auth/scopes.ts";
import type { Actions } from "../auth/scopes.ts";
import type { Reply } from "../http/reply.ts";
import type { Exchange, Method } from "../http/transport.ts";
import type { EndpointCapability } from "./endpoint.ts";

/** What a registry is asked. */
export interface RegistryRequest {
  readonly method: Method;
  /** Empty: what is asked is not of a repository, but of the server. */
  readonly repository: string;
  /** Below the repository: `manifests/v1`; or an address that the registry named, such as that of an upload. */
  readonly target: string | URL;
  /** What permission it takes in the repository. Default: `pull`. */
  readonly actions?: Actions | undefined;
  /** Another repository that is read by it, as for a mount. */
  readonly alsoPull?: string | undefined;
  /** What it is for: endpoints that cannot do it are not asked. */
  readonly purpose: EndpointCapability;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Exchange["body"];
  readonly signal?: AbortSignal | undefined;
  /** Whether it may be sent again after a failure. Default: unless it is a POST or PATCH, which may have done their work. */
  readonly repeatable?: boolean | undefined;
  /** The answer that named `target`: the server that gave it is asked, and no other. Needed for every address. */
  readonly continues?: Reply | undefined;
  /** An answer that came to nothing, as its body broke off: other servers are asked before those that gave it and its forerunners. */
  readonly after?: Reply | undefined;
}

/** A request as one server gets it. */
export interface HostRequest extends RegistryRequest {
  /** The registry that is meant, for a server that stands in for several: sent as `ns` (T4). */
  readonly namespace?: string | undefined;
}

/** Where a request goes: the server's own addresses are taken as they are, ours name the registry that is meant. */
export function addressOf({ repository, target, namespace }: HostRequest, api: URL): URL {
  if (typeof target !== "string") return target;
  const url = new URL(repository === "" ? target : `${repository}/${target}`, api);
  if (namespace !== undefined) url.search += `${url.search === "" ? "?" : "&"}ns=${encodeURIComponent(namespace)}`;
  return url;
}

/** The permission that a request takes. */
export function accessFor({ repository, actions = "pull", alsoPull }: RegistryRequest): Access {
  if (repository === "") return { repository, scopes: [] };
  const also = alsoPull === undefined ? [] : [repositoryScope(alsoPull, "pull")];
  return { repository, scopes: [repositoryScope(repository, actions), ...also] };
}

/** Whether a request may be sent again after a failure. */
export function mayRepeat({ method, repeatable }: RegistryRequest): boolean {
  return repeatable ?? (method !== "POST" && method !== "PATCH");
}
