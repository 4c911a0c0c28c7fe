import type { CallOptions } from "@varve/content";
import { parseReference } from "@varve/reference";
import type { Reference } from "@varve/reference";
import type { Fetcher, Pusher, Repositories, Repository, Resolved, Resolver } from "@varve/remotes";
import { RepositoryFetcher } from "./fetch/fetcher.ts";
import { ManifestResolution } from "./resolve/manifest-resolution.ts";
import { settingsFrom } from "./options.ts";
import type { RegistryResolverOptions, Settings } from "./options.ts";
import { RegistryRepository } from "./repository/registry-repository.ts";
import { RepositoryPusher } from "./push/pusher.ts";
import { Registry } from "./hosts/registry.ts";
import { RecentMap } from "./hosts/recent-map.ts";
import { RegistryHosts } from "./hosts/registry-hosts.ts";
import { Transport } from "./http/transport.ts";

// A service may be asked for any number of names.
const maxRegistries = 1000;

/**
 * Makes a resolver that speaks the distribution protocol. It opens connections when it is first asked something.
 *
 * @throws ERR_INVALID_ARGUMENT one of the times, sizes and counts is none
 */
export function createRegistryResolver(options: RegistryResolverOptions = {}): Resolver & Repositories {
  return new RegistryResolver(settingsFrom(options));
}

class RegistryResolver implements Resolver, Repositories {
  readonly #settings: Settings;
  readonly #transport: Transport;
  readonly #hosts: RegistryHosts;
  readonly #registries = new RecentMap<string, Registry>(maxRegistries);
  #closed: Promise<void> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#transport = new Transport(settings);
    this.#hosts = new RegistryHosts(settings, {
      transport: (host, endpoint) => this.#transport.forEndpoint(host, endpoint),
    });
  }

  async resolve(reference: string, options: CallOptions = {}): Promise<Resolved> {
    options.signal?.throwIfAborted();
    const parsed = parseReference(reference);
    const { path, tag, digest } = parsed;
    const name = parsed.toString();
    const wanted = { name, repository: path, tag, digest };
    const resolution = new ManifestResolution(this.#registry(parsed), this.#settings, wanted, options.signal);
    return { name, descriptor: await resolution.run() };
  }

  fetcher(reference: string): Fetcher {
    const parsed = parseReference(reference);
    const [registry, settings, transport] = [this.#registry(parsed), this.#settings, this.#transport];
    return new RepositoryFetcher({ registry, repository: parsed.path, settings, transport });
  }

  pusher(reference: string): Pusher {
    const parsed = parseReference(reference);
    return new RepositoryPusher(this.#registry(parsed), parsed.path, this.#settings);
  }

  repository(reference: string): Repository {
    const parsed = parseReference(reference);
    return new RegistryRepository(this.#registry(parsed), parsed.path, this.#settings);
  }

  close(): Promise<void> {
    this.#closed ??= this.#transport.close();
    return this.#closed;
  }

  /** Kept, so that servers are looked up once for each repository. */
  #registry({ domain, path: repository }: Reference): Registry {
    return this.#registries.getOrMake(
      `${domain}/${repository}`,
      () => new Registry({ domain, repository }, this.#settings, this.#hosts),
    );
  }
}
