import type { CredentialsCallback } from "@varve/credentials";
import { CodedError } from "@varve/errors";
import { isDockerHub, registryHost } from "@varve/reference";
import { isLoopback } from "../auth/realm.ts";
import type { Transport } from "../http/transport.ts";
import type { Settings } from "../options.ts";
import type { EndpointCapability, RegistryEndpoint } from "./endpoint.ts";
import { RecentMap } from "./recent-map.ts";
import { RegistryHost } from "./registry-host.ts";
import type { HostAddress } from "./registry-host.ts";

/** Gives each server a transport of its own, with the endpoint's TLS settings. */
export interface Transports {
  transport(host: string, endpoint: RegistryEndpoint): Transport;
}

/** One server as it answers for one repository. */
export interface Route {
  readonly host: RegistryHost;
  readonly capabilities: ReadonlySet<EndpointCapability>;
  /** Whether it is the registry itself, and no mirror. */
  readonly isRegistry: boolean;
  /** What the repository is called there. */
  readonly repository: string;
}

const allCapabilities: readonly EndpointCapability[] = ["resolve", "pull", "push", "referrers"];
const repositoryForm = /^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$/;
// Servers know their tokens, their protocol and how many transfers they have; who names thousands does not need that.
const maxHosts = 1000;

/** The servers that were asked so far: equal endpoints share one, whichever registries and repositories they stand for. */
export class RegistryHosts {
  readonly #settings: Settings;
  readonly #transports: Transports;
  readonly #hosts = new RecentMap<string, RegistryHost>(maxHosts);
  readonly #numbers = new WeakMap<CredentialsCallback, number>();
  #lastNumber = 0;

  constructor(settings: Settings, transports: Transports) {
    this.#settings = settings;
    this.#transports = transports;
  }

  /**
   * The server of an endpoint.
   *
   * @param domain the registry's name in references
   * @throws ERR_INVALID_ARGUMENT the endpoint is none
   */
  route(endpoint: RegistryEndpoint, domain: string, repository: string): Route {
    const url = urlOf(endpoint, domain);
    const isRegistry = url.host === hostOf(url.protocol, registryHost({ domain }));
    const address = this.#address(endpoint, url, isRegistry ? domain : undefined);
    const { connectTimeout, credentials } = endpoint;
    const { name, api, mayFallBack, headers } = address;
    const rest = [connectTimeout, this.#numberOf(credentials), ...tlsOf(endpoint)];
    const known = JSON.stringify([name, api, mayFallBack, headers, ...rest]);
    return {
      host: this.#hosts.getOrMake(known, () => {
        const transport = this.#transports.transport(url.host, endpoint);
        const settings = credentials === undefined ? this.#settings : { ...this.#settings, credentials };
        return new RegistryHost(address, settings, transport);
      }),
      capabilities: new Set(endpoint.capabilities ?? allCapabilities),
      isRegistry,
      repository: repositoryOf(endpoint, domain) ?? repository,
    };
  }

  /** Endpoints with different callbacks are different servers: one's tokens are not for the other. */
  #numberOf(credentials: CredentialsCallback | undefined): number {
    if (credentials === undefined) return 0;
    const number = this.#numbers.get(credentials) ?? (this.#lastNumber += 1);
    this.#numbers.set(credentials, number);
    return number;
  }

  /** @param registry the name of the registry, if it is that itself */
  #address(endpoint: RegistryEndpoint, url: URL, registry: string | undefined): HostAddress {
    const name = registry ?? (isDockerHub({ domain: url.host }) ? "docker.io" : url.host);
    const hasTls = tlsOf(endpoint).some((setting) => setting !== undefined);
    // Mirrors are asked as their address says; the registry itself as its name is meant to be asked.
    const isPlain = registry !== undefined && !hasTls && this.#settings.plainHttp(registry);
    if (isPlain) url.protocol = "http:";
    const mayFallBack = url.protocol === "https:" && (endpoint.httpFallback ?? (!hasTls && isLoopback(url.hostname)));
    return {
      name,
      api: apiOf(url, endpoint.overridePath === true),
      mayFallBack,
      headers: lowerCased(endpoint.headers),
    };
  }
}

/** The endpoint that every registry has without being told: itself. */
export function registryItself(domain: string): RegistryEndpoint {
  return { url: `https://${registryHost({ domain })}` };
}

function urlOf(endpoint: RegistryEndpoint, domain: string): URL {
  const url = URL.parse(endpoint.url);
  if (url === null || !/^https?:$/.test(url.protocol)) throw invalid(domain, "its address is no http or https URL");
  if (url.username !== "" || url.password !== "") throw invalid(domain, "credentials do not belong into its address");
  if (url.search !== "" || url.hash !== "") throw invalid(domain, `${url.origin}${url.pathname} has a query`);
  // Whatever its name, Docker Hub answers in one place only (N2).
  if (url.port === "" && isDockerHub({ domain: url.host })) url.host = registryHost({ domain: url.host });
  return url;
}

function repositoryOf({ repository }: RegistryEndpoint, domain: string): string | undefined {
  if (repository === undefined || (repository.length < 256 && repositoryForm.test(repository))) return repository;
  throw invalid(domain, `${JSON.stringify(repository.slice(0, 128))} is no name of a repository`);
}

function invalid(domain: string, why: string): CodedError {
  return new CodedError("ERR_INVALID_ARGUMENT", `endpoint of registry ${domain}: ${why}`);
}

/** As URLs have it: without the port that the protocol has anyway. */
function hostOf(protocol: string, address: string): string | undefined {
  return URL.parse(`${protocol}//${address}`)?.host;
}

function apiOf(url: URL, overridePath: boolean): URL {
  const path = url.pathname.replace(/\/+$/, "");
  const api = new URL(url.origin);
  api.pathname = `${path}${overridePath || path.endsWith("/v2") ? "" : "/v2"}/`;
  return api;
}

function tlsOf(endpoint: RegistryEndpoint): readonly unknown[] {
  const { certificateAuthorities, clientCertificates, skipVerify } = endpoint;
  return [certificateAuthorities, clientCertificates, skipVerify];
}

function lowerCased(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
