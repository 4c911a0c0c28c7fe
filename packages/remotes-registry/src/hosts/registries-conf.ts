import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "@varve/errors";
import { isMissing } from "./config-file.ts";
import { ConfigTable, readToml } from "./config-table.ts";
import type { EndpointCapability, EndpointsCallback, RegistryEndpoint } from "./endpoint.ts";
import { isTagged, locationFrom, matchedLength, placeOf } from "./image-prefix.ts";
import { registryItself } from "./registry-hosts.ts";

/** Where the images below a prefix are. */
interface Location {
  /** Host, port and path; `undefined`: where their name says. */
  readonly location: string | undefined;
  readonly insecure: boolean;
}

interface Mirror extends Location {
  readonly capabilities: readonly EndpointCapability[];
}

/** One `[[registry]]` of the files. */
interface Registry extends Location {
  readonly prefix: string;
  readonly blocked: boolean;
  readonly mirrors: readonly Mirror[];
}

const pulls: readonly EndpointCapability[] = ["resolve", "pull", "referrers"];
const everything: readonly EndpointCapability[] = [...pulls, "push"];

/**
 * Endpoints as podman, skopeo and buildah are told of them in `registries.conf`: mirrors, other locations, insecure and
 * blocked registries. Later files override earlier ones prefix by prefix; of a directory its `*.conf` files are read, in the
 * order of their names. Files that are missing are fine. Only pulls are led elsewhere: pushes go to the registry itself.
 *
 * Of a mirror that is for digests only, tags are not asked. One that is for tags only is asked for digests as well, since
 * what its tags mean may be there only. Short names (`unqualified-search-registries`, aliases) are not looked at.
 *
 * Files are read when a repository is asked for first.
 *
 * @throws ERR_INVALID_DATA a file is not what it should be; the message names the file and the key
 * @throws ERR_PERMISSION_DENIED the registry is blocked
 * @throws ERR_NOT_IMPLEMENTED a file of the first version, or an entry for single tags
 */
export function registriesConf(files: readonly string[]): EndpointsCallback {
  return async (host, repository) => {
    const name = `${host}/${repository}`;
    const registry = longestMatch(await readAll(files), name);
    if (registry === undefined) return undefined;
    if (registry.blocked) {
      throw new CodedError("ERR_PERMISSION_DENIED", `image ${name}: ${registry.prefix} is blocked in registries.conf`);
    }
    return endpointsFor(registry, host, name);
  };
}

function endpointsFor(registry: Registry, host: string, name: string): readonly RegistryEndpoint[] {
  const matched = matchedLength(registry.prefix, name) ?? 0;
  const mirrors = registry.mirrors.map((mirror) => endpointAt(mirror, name, matched, mirror.capabilities));
  const itself: RegistryEndpoint = { ...registryItself(host), ...trustOf(registry), capabilities: everything };
  if (registry.location === undefined || registry.location === registry.prefix) return [...mirrors, itself];
  return [...mirrors, endpointAt(registry, name, matched, pulls), { ...itself, capabilities: ["push"] }];
}

/** The same image at another location: what the prefix matched is replaced by it. */
function endpointAt(
  { location, insecure }: Location,
  name: string,
  matched: number,
  capabilities: readonly EndpointCapability[],
): RegistryEndpoint {
  const { host, repository } = placeOf(location === undefined ? name : location + name.slice(matched));
  if (repository === "") {
    throw new CodedError("ERR_INVALID_DATA", `image ${name}: at ${location ?? host} it has no name (registries.conf)`);
  }
  return { ...registryItself(host), repository, ...trustOf({ insecure }), capabilities };
}

function trustOf({ insecure }: { readonly insecure: boolean }): Partial<RegistryEndpoint> {
  return insecure ? { skipVerify: true, httpFallback: true } : {};
}

function longestMatch(registries: ReadonlyMap<string, Registry>, name: string): Registry | undefined {
  let best: Registry | undefined;
  for (const registry of registries.values()) {
    const longer = registry.prefix.length > (best?.prefix.length ?? 0);
    if (!longer || matchedLength(registry.prefix, name) === undefined) continue;
    best = registry;
  }
  return best;
}

async function readAll(files: readonly string[]): Promise<ReadonlyMap<string, Registry>> {
  const registries = new Map<string, Registry>();
  for (const path of files) {
    for (const file of await filesAt(path)) {
      const table = await readToml(file);
      for (const registry of table === undefined ? [] : registriesIn(table)) registries.set(registry.prefix, registry);
    }
  }
  return registries;
}

async function filesAt(path: string): Promise<readonly string[]> {
  try {
    const names = await readdir(path);
    return names
      .filter((name) => name.endsWith(".conf"))
      .toSorted()
      .map((name) => join(path, name));
  } catch (error) {
    // A file, or nothing: reading it tells.
    if (isMissing(error)) return [path];
    throw error;
  }
}

function registriesIn(file: ConfigTable): Registry[] {
  if (file.has("registries")) {
    const text = `${file.place.file}: the first version of registries.conf is not supported: use [[registry]] tables`;
    throw new CodedError("ERR_NOT_IMPLEMENTED", text);
  }
  return file.tables("registry").map(registryFrom);
}

function registryFrom(table: ConfigTable): Registry {
  const location = locationFrom(table, "location");
  const prefix = locationFrom(table, "prefix", { wildcard: true }) ?? location;
  if (prefix === undefined) throw table.place.error("has neither prefix nor location");
  if (isTagged(prefix)) {
    const text = `${table.place.file}: ${prefix}: a prefix with a tag or digest is not supported`;
    throw new CodedError("ERR_NOT_IMPLEMENTED", text);
  }
  const digestOnly = table.boolean("mirror-by-digest-only") === true;
  return {
    prefix,
    location,
    insecure: table.boolean("insecure") === true,
    blocked: table.boolean("blocked") === true,
    mirrors: table.tables("mirror").map((mirror) => mirrorFrom(mirror, digestOnly)),
  };
}

function mirrorFrom(table: ConfigTable, digestOnly: boolean): Mirror {
  const location = locationFrom(table, "location");
  if (location === undefined) throw table.place.error("has no location");
  const use = table.string("pull-from-mirror") ?? "";
  const key = table.place.at("pull-from-mirror");
  if (!["", "all", "digest-only", "tag-only"].includes(use)) throw key.error("must be all, digest-only or tag-only");
  if (use !== "" && digestOnly) throw key.error("not together with mirror-by-digest-only of the registry");
  return {
    location,
    insecure: table.boolean("insecure") === true,
    capabilities: digestOnly || use === "digest-only" ? ["pull"] : pulls,
  };
}
