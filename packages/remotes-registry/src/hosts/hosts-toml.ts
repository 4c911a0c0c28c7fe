import { dirname, resolve } from "node:path";
import type { CredentialsCallback } from "@varve/credentials";
import { CodedError } from "@varve/errors";
import { readAuthorities, readPair } from "./certificate-files.ts";
import type { ConfigPlace } from "./config-place.ts";
import { ConfigTable, listOf, readToml, stringsOf } from "./config-table.ts";
import { parseDuration } from "./duration.ts";
import type { ClientCertificate, EndpointCapability, RegistryEndpoint } from "./endpoint.ts";
import { registryItself } from "./registry-hosts.ts";

const all: readonly EndpointCapability[] = ["resolve", "pull", "push", "referrers"];
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Makes the callback that asks a credential helper: `ecr-login` stands for the program `docker-credential-ecr-login`. */
export type CredentialHelper = (name: string) => CredentialsCallback;

/**
 * Reads a `hosts.toml` of containerd: the hosts in the order of the file, and last `server`, or without it the registry
 * itself. A server that stands among the hosts too is not asked twice.
 *
 * @param registry the name of the registry
 * @returns `undefined` if the file is not there, or empty
 * @throws ERR_INVALID_DATA the message names the file and the key
 */
export async function readHostsToml(
  path: string,
  registry: string,
  helper?: CredentialHelper,
): Promise<RegistryEndpoint[] | undefined> {
  const file = await readToml(path);
  if (file === undefined) return undefined;
  const hosts = file.table("host");
  const endpoints: RegistryEndpoint[] = [];
  for (const address of hosts?.keys() ?? []) {
    const table = hosts?.table(address);
    if (table !== undefined) endpoints.push(await endpointFrom(table, urlFrom(address, table.place), helper));
  }
  const server = file.string("server");
  const url =
    server === undefined || server === "" ? registryItself(registry).url : urlFrom(server, file.place.at("server"));
  const last = withoutKnown(await endpointFrom(file, url, helper), endpoints);
  return last === undefined ? endpoints : [...endpoints, last];
}

async function endpointFrom(
  table: ConfigTable,
  url: string,
  helper: CredentialHelper | undefined,
): Promise<RegistryEndpoint> {
  const directory = dirname(table.place.file);
  return withoutUndefined({
    url,
    capabilities: capabilitiesFrom(table),
    overridePath: table.boolean("override_path"),
    credentials: credentialsFrom(table, helper),
    headers: headersFrom(table.table("header")),
    certificateAuthorities: await authoritiesFrom(table, directory),
    clientCertificates: await clientsFrom(table, directory),
    skipVerify: table.boolean("skip_verify"),
    connectTimeout: timeoutFrom(table),
  });
}

/** What the server can do besides what the same server does among the hosts: a host may be limited to pulls. */
function withoutKnown(server: RegistryEndpoint, hosts: readonly RegistryEndpoint[]): RegistryEndpoint | undefined {
  const same = hosts.filter(({ url }) => sameAddress(url, server.url));
  if (same.length === 0) return server;
  const known = new Set(same.flatMap(({ capabilities }) => capabilities ?? all));
  const capabilities = (server.capabilities ?? all).filter((one) => !known.has(one));
  return capabilities.length === 0 ? undefined : { ...server, capabilities };
}

function sameAddress(one: string, other: string): boolean {
  const [a, b] = [one, other].map((url) => URL.parse(url)?.href.replace(/\/+$/, ""));
  return a === b;
}

/** Without a scheme it is https. */
function urlFrom(address: string, place: ConfigPlace): string {
  const url = URL.parse(/^[a-z]+:\/\//i.test(address) ? address : `https://${address}`);
  if (url === null || !/^https?:$/.test(url.protocol) || /^\d+$/.test(address)) {
    throw place.error("must be the address of a server, with http or https");
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw place.error("an address has no user and no query");
  }
  return url.href;
}

function capabilitiesFrom(table: ConfigTable): readonly EndpointCapability[] | undefined {
  const value = table.get("capabilities");
  if (value === undefined) return undefined;
  const place = table.place.at("capabilities");
  const found = stringsOf(value, place).map((name, index) => {
    const known = all.find((one) => one === name.toLowerCase());
    if (known !== undefined) return known;
    throw place.at(index).error(`no capability: there are ${all.join(", ")}`);
  });
  return found.length === 0 ? undefined : found;
}

/** Ours, not containerd's: passwords do not belong into such a file, but who has them may (G-21). */
function credentialsFrom(table: ConfigTable, helper: CredentialHelper | undefined): CredentialsCallback | undefined {
  const name = table.string("credential_helper");
  if (name === undefined) return undefined;
  const place = table.place.at("credential_helper");
  if (!/^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/.test(name)) throw place.error("no name of a credential helper");
  if (helper !== undefined) return helper(name);
  // Asking anonymously instead would look like a registry that lacks things.
  throw new CodedError("ERR_NOT_IMPLEMENTED", `${place.file}: credential_helper: nothing here runs credential helpers`);
}

function headersFrom(table: ConfigTable | undefined): Record<string, string> | undefined {
  if (table === undefined || table.keys().length === 0) return undefined;
  return Object.fromEntries(
    table.keys().map((name) => {
      const place = table.place.at(name);
      const value = (table.strings(name) ?? []).join(", ");
      if (!token.test(name)) throw place.error("no name of a header");
      if (/[^\t\u0020-\u007e\u0080-\u00ff]/.test(value)) throw place.error("its value cannot be sent in a header");
      return [name, value];
    }),
  );
}

async function authoritiesFrom(table: ConfigTable, directory: string): Promise<string[] | undefined> {
  const files = table.strings("ca");
  if (files === undefined) return undefined;
  return Promise.all(files.map((file) => readAuthorities(resolve(directory, file), table.place.at("ca"))));
}

/** A file with both, a list of such, or a list of pairs of a certificate and a key. */
async function clientsFrom(table: ConfigTable, directory: string): Promise<ClientCertificate[] | undefined> {
  const value = table.get("client");
  if (value === undefined) return undefined;
  const place = table.place.at("client");
  const entries = typeof value === "string" ? [value] : listOf(value, place, "files, or of pairs of files");
  const pairs = entries.map((entry, index): readonly [string, string] => {
    if (typeof entry === "string") return [entry, entry];
    const pair = stringsOf(entry, place.at(index));
    const [certificate = "", key = ""] = pair;
    if (pair.length !== 2 || certificate === "") throw place.at(index).error("must be a pair of files");
    return [certificate, key === "" ? certificate : key];
  });
  return Promise.all(pairs.map(([one, other]) => readPair(resolve(directory, one), resolve(directory, other), place)));
}

function timeoutFrom(table: ConfigTable): number | undefined {
  const text = table.string("dial_timeout");
  if (text === undefined || text === "") return undefined;
  const duration = parseDuration(text);
  if (duration === undefined)
    throw table.place.at("dial_timeout").error('must be a duration such as "500ms" or "1m30s"');
  return duration;
}

/** What the file does not say is left out, so that endpoints can be compared and printed. */
function withoutUndefined(endpoint: RegistryEndpoint): RegistryEndpoint {
  const said = Object.entries(endpoint).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(said), url: endpoint.url };
}
