const hub = "docker.io";
const hubNames: ReadonlySet<string> = new Set([hub, "index.docker.io", "registry-1.docker.io"]);
const hubKey = "https://index.docker.io/v1/";

/**
 * Brings a key as people and tools write it into the one form that keys are compared in: a host, or a host with a part of a path.
 * An address with a scheme stands for its host, whatever its path (`https://index.docker.io/v1/`).
 */
export function normalKey(key: string): string {
  const address = /^https?:\/\/([^/]*)/i.exec(key)?.[1];
  const plain = address ?? key.replace(/\/+$/, "");
  const slash = plain.indexOf("/");
  const host = (slash === -1 ? plain : plain.slice(0, slash)).toLowerCase();
  const path = slash === -1 ? "" : plain.slice(slash);
  const isHub = hubNames.has(host);
  // With the slash at its end this is an address that lost its scheme, without it a namespace.
  const isAddress = /^\/v[12]$/.test(path) && (isHub || key.endsWith("/"));
  return (isHub ? hub : host) + (isAddress ? "" : path);
}

/** The keys that stand for a repository, the longest one first; without one only that of the host. */
export function keysFor(host: string, repository: string | undefined): string[] {
  const parts = [normalKey(host), ...(repository ?? "").split("/").filter((part) => part !== "")];
  return parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
}

/** How docker writes a key into a file. */
export function fileKey(normal: string): string {
  return normal === hub ? hubKey : normal;
}

/** What helpers are asked for: docker and podman do not agree on the name of Docker Hub. */
export function helperKeys(host: string): readonly string[] {
  return host === hub ? [hubKey, hub] : [host];
}

/** Whether a key can be kept: a host, or a host with a part of a path, that reads back as it was written. */
export function isKey(normal: string): boolean {
  return /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?(?:\/[a-z0-9._-]+)*$/.test(normal) && normal.length <= 512;
}
