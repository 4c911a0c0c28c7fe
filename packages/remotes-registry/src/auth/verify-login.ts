import type { Credentials } from "@varve/credentials";
import { CodedError } from "@varve/errors";
import { isDockerHub } from "@varve/reference";
import type { RegistryHost } from "../hosts/registry-host.ts";
import { registryItself, RegistryHosts } from "../hosts/registry-hosts.ts";
import { Transport } from "../http/transport.ts";
import { settingsFrom } from "../options.ts";
import type { RegistryResolverOptions, Settings } from "../options.ts";

/** How a registry took a login. */
export interface VerifiedLogin {
  /** `none`: it asks nobody who they are, so that nothing is proved. */
  readonly scheme: "none" | "basic" | "bearer";
  /** To be kept in the place of what was sent; its server gave it for that. */
  readonly identityToken?: string | undefined;
}

export interface VerifyLoginOptions extends Omit<RegistryResolverOptions, "credentials" | "onIdentityToken"> {
  /** Rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
}

const request = { method: "GET", repository: "", target: "", purpose: "resolve" } as const;

/**
 * Tries credentials at a registry: asks for the root of its API, with a real token where it wants one. No repository is named. The
 * registry itself is asked, whichever mirrors it has.
 *
 * @param host as in references: `docker.io`, `localhost:5000`
 * @throws ERR_UNAUTHENTICATED they are refused
 */
export async function verifyLogin(
  host: string,
  credentials: Credentials,
  options: VerifyLoginOptions = {},
): Promise<VerifiedLogin> {
  const { signal } = options;
  signal?.throwIfAborted();
  let identityToken: string | undefined;
  const onIdentityToken = (_host: string, given: string): void => {
    identityToken = given;
  };
  const settings = settingsFrom({ ...options, credentials: async () => credentials, onIdentityToken });
  const transport = new Transport(settings);
  try {
    if ("registryToken" in credentials && !(await asksWho(host, settings, transport, signal)))
      return { scheme: "none" };
    const server = await serverOf(host, settings, transport);
    const scheme = (await login(server, signal)) ?? ("registryToken" in credentials ? "bearer" : "none");
    return identityToken === undefined ? { scheme } : { scheme, identityToken };
  } finally {
    await transport.close();
  }
}

/** @returns how the registry wanted to know who asks; `undefined`: it did not ask */
async function login(server: RegistryHost, signal: AbortSignal | undefined): Promise<RegistryHost["scheme"]> {
  const reply = await server.send({ ...request, signal }, true);
  if (reply.status < 300) {
    await reply.discard();
    return server.scheme;
  }
  const error = await server.failure(reply, request);
  const isRefused = reply.status === 401 || reply.status === 403;
  throw isRefused ? new CodedError("ERR_UNAUTHENTICATED", error.message) : error;
}

/** A registry token is sent without being asked for: whether it made a difference shows only without it. */
async function asksWho(
  host: string,
  settings: Settings,
  transport: Transport,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const server = await serverOf(host, { ...settings, credentials: async () => undefined }, transport);
  try {
    await (await server.send({ ...request, signal }, true)).discard();
    return server.scheme !== undefined;
  } catch (error) {
    if (server.scheme !== undefined && signal?.aborted !== true) return true;
    throw error;
  }
}

async function serverOf(host: string, settings: Settings, transport: Transport): Promise<RegistryHost> {
  if (!/^[\w.-]+(?::\d+)?$|^\[[\da-f:]+\](?::\d+)?$/i.test(host)) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `${JSON.stringify(host)}: not a host`);
  }
  const domain = isDockerHub({ domain: host }) ? "docker.io" : host;
  const hosts = new RegistryHosts(settings, { transport: (name, endpoint) => transport.forEndpoint(name, endpoint) });
  const endpoints = (await settings.endpoints(domain, "")) ?? [];
  // An endpoint may have a helper of its own: its credentials would be tried in the place of those that are given.
  const routes = [...endpoints, registryItself(domain)].map((endpoint) =>
    hosts.route({ ...endpoint, credentials: undefined }, domain, ""),
  );
  const own = routes.find(({ isRegistry }) => isRegistry);
  if (own === undefined) throw new CodedError("ERR_INTERNAL", `registry ${domain}: no server`);
  return own.host;
}
