import type { CallOptions } from "@varve/content";
import type { Credentials, CredentialsCallback } from "@varve/credentials";
import type { Repositories, Resolver } from "@varve/remotes";
import type { EndpointsCallback, RegistryResolverOptions, VerifiedLogin } from "@varve/remotes-registry";
import { defaultHostsDirectories } from "./hosts-directories.ts";

/** How registries are reached, and where credentials and mirrors are read from when the options do not bring their own. */
export interface OpenRegistryOptions extends RegistryResolverOptions {
  /**
   * Credentials for registries by their names in references, such as `docker.io` or `localhost:5000`. They come before those that
   * this machine has, and no other server sees them: no mirror, nor where a registry redirects to. Not used if there is `credentials`.
   */
  readonly logins?: Readonly<Record<string, Credentials>> | undefined;
  /**
   * The one file with credentials, as docker and podman write it. Default: where those two keep theirs, and their helpers. Not
   * used if there is `credentials`.
   */
  readonly credentialsFile?: string | undefined;
  /**
   * Directories with a directory for each registry, in which `hosts.toml` names mirrors and certificates, as containerd reads
   * them. Default: `/etc/containerd/certs.d` and `/etc/docker/certs.d` for root, those below `~/.config` for others. Not used if
   * there is `endpoints`.
   */
  readonly hostsDirectories?: readonly string[] | undefined;
  /** Files like containers' `registries.conf`, whose mirrors come before those of the directories. Default: none. */
  readonly registriesFiles?: readonly string[] | undefined;
  /** Told what is wrong with credentials and was passed over. It must not throw. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** A registry client. */
export type Registry = Resolver & Repositories;

/**
 * Makes a registry client that knows what docker and containerd know on this machine: credentials and mirrors. Nothing is read
 * before it is needed.
 */
export async function openRegistry(options: OpenRegistryOptions = {}): Promise<Registry> {
  const { createRegistryResolver } = await import("@varve/remotes-registry");
  return createRegistryResolver({
    ...options,
    credentials: options.credentials ?? (await knownCredentials(options)),
    endpoints: options.endpoints ?? (await machineEndpoints(options)),
  });
}

/**
 * Tries credentials at a registry, as `verifyLogin` of `@varve/remotes-registry` does, and reaches it with what this machine knows
 * of its address and certificates.
 *
 * @throws ERR_UNAUTHENTICATED they are refused
 */
export async function checkLogin(
  host: string,
  credentials: Credentials,
  options: Omit<OpenRegistryOptions, "credentials" | "credentialsFile" | "logins"> & CallOptions = {},
): Promise<VerifiedLogin> {
  const { verifyLogin } = await import("@varve/remotes-registry");
  const endpoints = options.endpoints ?? (await machineEndpoints(options));
  return verifyLogin(host, credentials, { ...options, endpoints });
}

async function knownCredentials(options: OpenRegistryOptions): Promise<CredentialsCallback> {
  const { openCredentials } = await import("@varve/credentials");
  const store = openCredentials({ file: options.credentialsFile, onWarning: options.onWarning });
  return withLogins(options, (host, repository) => store.get(host, repository));
}

async function machineEndpoints(options: OpenRegistryOptions): Promise<EndpointsCallback> {
  const { hostsDirectories: directories = defaultHostsDirectories(), registriesFiles: files = [], onWarning } = options;
  const { firstOf, hostsDirectories, registriesConf } = await import("@varve/remotes-registry");
  const { helperCredentials } = await import("@varve/credentials");
  // Who brings all credentials wants no others, and who brings some wants them first.
  const credentialHelper = (name: string): CredentialsCallback =>
    options.credentials ?? withLogins(options, helperCredentials(name, { onWarning }));
  return firstOf(registriesConf(files), hostsDirectories(directories, { credentialHelper }));
}

function withLogins({ logins = {} }: OpenRegistryOptions, others: CredentialsCallback): CredentialsCallback {
  const own = new Map(Object.entries(logins));
  return async (host, repository) => own.get(host) ?? others(host, repository);
}
