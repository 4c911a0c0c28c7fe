import { homedir } from "node:os";
import { join } from "node:path";

/** Where containerd and docker look for what belongs to registries. */
export function defaultHostsDirectories(): readonly string[] {
  if (process.geteuid?.() === 0) return ["/etc/containerd/certs.d", "/etc/docker/certs.d"];
  const config = process.env["XDG_CONFIG_HOME"] ?? join(homedir(), ".config");
  return [join(config, "containerd/certs.d"), join(config, "docker/certs.d")];
}
