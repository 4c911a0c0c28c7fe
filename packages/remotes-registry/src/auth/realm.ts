import { BlockList, isIP } from "node:net";
import { CodedError } from "@varve/errors";
import { describeUrl } from "../http/printable.ts";

const inner = new BlockList();
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 3],
] as const) {
  inner.addSubnet(network, prefix, "ipv4");
}
for (const [network, prefix] of [
  ["::", 96],
  // Addresses of IPv4 in another form.
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8],
] as const) {
  inner.addSubnet(network, prefix, "ipv6");
}

/** A host that is this machine: `localhost`, names below it, 127.0.0.0/8, ::1. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/\.$/, "");
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  return /^127(?:\.\d{1,3}){3}$/.test(name) || name === "[::1]" || name === "::1";
}

/**
 * Refuses a token server that a registry must not send us to: plain http unless the registry itself is asked so, and
 * addresses inside networks (cloud metadata, routers) unless the registry is there.
 *
 * @throws ERR_PERMISSION_DENIED
 */
export function checkRealm(realm: URL, registry: URL): void {
  const fail = (why: string): never => {
    throw new CodedError(
      "ERR_PERMISSION_DENIED",
      `registry ${registry.host}: token server ${describeUrl(realm)}: ${why}`,
    );
  };
  if (realm.protocol !== "https:" && !(realm.protocol === "http:" && registry.protocol === "http:")) {
    fail("not https");
  }
  if (leadsInside(realm, registry)) fail("an address of an inner network");
}

/** Whether an address is inside a network where the registry is not: nobody outside may send us there. */
export function leadsInside(url: URL, registry: URL | undefined): boolean {
  if (url.hostname === registry?.hostname) return false;
  if (isLoopback(url.hostname)) return registry === undefined || !isLoopback(registry.hostname);
  const address = url.hostname.replace(/^\[|\]$/g, "");
  const family = isIP(address);
  return family !== 0 && inner.check(address, family === 6 ? "ipv6" : "ipv4");
}
