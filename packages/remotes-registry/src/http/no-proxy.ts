import { BlockList, isIP } from "node:net";

interface Rule {
  readonly port: string | undefined;
  readonly matches: (hostname: string, family: number) => boolean;
}

/**
 * Reads a list of hosts that are asked without a proxy, as curl and Go do: names with all names below them, `.name` or `*.name`
 * for those below alone, addresses, networks (`10.0.0.0/8`), each with `:port` if it is meant for that port only, or `*`.
 * Names are not resolved: networks are compared with addresses only.
 */
export function parseNoProxy(list: string): (url: URL) => boolean {
  const rules = list
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .flatMap((entry) => ruleFrom(entry.toLowerCase()) ?? []);
  return (url) => {
    const hostname = bareHost(url);
    const family = isIP(hostname);
    const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
    return rules.some((rule) => (rule.port ?? port) === port && rule.matches(hostname, family));
  };
}

/** The host of an address: no brackets, no final dot. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1").replace(/(.)\.$/, "$1");
}

function ruleFrom(entry: string): Rule | undefined {
  const network = /^\[?([0-9a-f.:]+)\]?\/(\d{1,3})$/.exec(entry);
  if (network !== null) return networkRule(network[1] ?? "", Number(network[2]));
  const address = entry.replace(/^\[(.*)\]$/, "$1");
  if (isIP(address) !== 0) return networkRule(address, isIP(address) === 6 ? 128 : 32);
  const [, host = "", port] = /^(.*?)(?::(\d{1,5}))?$/.exec(entry) ?? [];
  if (port !== undefined) {
    const rule = ruleFrom(host);
    return rule === undefined ? undefined : { ...rule, port: String(Number(port)) };
  }
  if (host === "*") return { port, matches: () => true };
  const name = host.replace(/\.$/, "").replace(/^\*\./, ".");
  if (name === "" || name === ".") return undefined;
  const below = name.startsWith(".") ? name : `.${name}`;
  return { port, matches: (hostname) => hostname === name || hostname.endsWith(below) };
}

function networkRule(address: string, prefix: number): Rule | undefined {
  const family = isIP(address);
  if (family === 0 || prefix > (family === 6 ? 128 : 32)) return undefined;
  const network = new BlockList();
  network.addSubnet(address, prefix, family === 6 ? "ipv6" : "ipv4");
  return {
    port: undefined,
    matches: (hostname, found) => found !== 0 && network.check(hostname, found === 6 ? "ipv6" : "ipv4"),
  };
}
