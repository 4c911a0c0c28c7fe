import type { CallOptions } from "@varve/content";
import { parseReference, registryHost } from "@varve/reference";
import type { Reference } from "@varve/reference";
import type { Fetcher, Pusher, Resolved, Resolver } from "@varve/remotes";
import { RepositoryFetcher } from "./fetcher.ts";
import { ManifestResolution } from "./manifest-resolution.ts";
import { settingsFrom } from "./options.ts";
import type { RegistryResolverOptions, Settings } from "./options.ts";
import { RepositoryPusher } from "./pusher.ts";
import { RegistryHost } from "./registry-host.ts";
import { Transport } from "./transport.ts";

/** Makes a resolver that speaks the distribution protocol. It opens connections when it is first asked something. */
export function createRegistryResolver(options: RegistryResolverOptions = {}): Resolver {
  return new RegistryResolver(settingsFrom(options));
}

class RegistryResolver implements Resolver {
  readonly #settings: Settings;
  readonly #transport: Transport;
  readonly #hosts = new Map<string, RegistryHost>();
  #closed: Promise<void> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#transport = new Transport(settings);
  }

  async resolve(reference: string, options: CallOptions = {}): Promise<Resolved> {
    options.signal?.throwIfAborted();
    const parsed = parseReference(reference);
    const { path, tag, digest } = parsed;
    const name = parsed.toString();
    const wanted = { name, repository: path, tag, digest };
    const resolution = new ManifestResolution(this.#host(parsed), this.#settings, wanted, options.signal);
    return { name, descriptor: await resolution.run() };
  }

  fetcher(reference: string): Fetcher {
    const parsed = parseReference(reference);
    return new RepositoryFetcher(this.#host(parsed), parsed.path, this.#settings);
  }

  pusher(reference: string): Pusher {
    const parsed = parseReference(reference);
    return new RepositoryPusher(this.#host(parsed), parsed.path, this.#settings);
  }

  close(): Promise<void> {
    this.#closed ??= this.#transport.close();
    return this.#closed;
  }

  /** Hosts are kept: they know their tokens, their protocol and how many transfers they have. */
  #host(reference: Reference): RegistryHost {
    const { domain } = reference;
    const known = this.#hosts.get(domain);
    if (known !== undefined) return known;
    const host = new RegistryHost(domain, registryHost(reference), this.#settings, this.#transport);
    this.#hosts.set(domain, host);
    return host;
  }
}
