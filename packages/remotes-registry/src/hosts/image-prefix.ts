import type { ConfigTable } from "./config-table.ts";

/** Where a location is: its host, with the port, and the path below it. */
export interface Place {
  readonly host: string;
  readonly repository: string;
}

/** Parts a location into host and path. */
export function placeOf(location: string): Place {
  const slash = location.indexOf("/");
  if (slash < 0) return { host: location, repository: "" };
  return { host: location.slice(0, slash), repository: location.slice(slash + 1) };
}

/**
 * How much of an image's name a prefix stands for; `undefined` if the name does not begin with it. A prefix ends where
 * a part of the name does; `*.example.com` stands for the host.
 */
export function matchedLength(prefix: string, name: string): number | undefined {
  if (prefix.startsWith("*.")) {
    const { host } = placeOf(name);
    return host.endsWith(prefix.slice(1)) && host.length >= prefix.length ? host.length : undefined;
  }
  if (!name.startsWith(prefix)) return undefined;
  return name.length === prefix.length || name[prefix.length] === "/" ? prefix.length : undefined;
}

/** Whether a prefix goes beyond the name of a repository. */
export function isTagged(prefix: string): boolean {
  return prefix.includes("@") || placeOf(prefix).repository.includes(":");
}

/** A location as `registries.conf` has it: a host, and a path if there is one; no scheme. */
export function locationFrom(
  table: ConfigTable,
  key: string,
  { wildcard = false }: { readonly wildcard?: boolean } = {},
): string | undefined {
  const value = table.string(key)?.replace(/\/+$/, "");
  if (value === undefined || value === "") return undefined;
  const error = table.place.at(key);
  if (value.includes("://")) throw error.error("must be a host and a path, without a scheme");
  if (!/^[\w.:[\]*@+/-]+$/.test(value)) throw error.error("must be a host and a path");
  if (value.includes("*") && !(wildcard && /^\*\.[^*/:@]+$/.test(value))) {
    throw error.error("a wildcard stands for the first parts of a host, as in *.example.com");
  }
  return value;
}
