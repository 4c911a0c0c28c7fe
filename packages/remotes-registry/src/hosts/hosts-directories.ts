import { stat } from "node:fs/promises";
import { join } from "node:path";
import { readDockerFiles } from "./certificate-files.ts";
import { isMissing } from "./config-file.ts";
import type { EndpointsCallback, RegistryEndpoint } from "./endpoint.ts";
import { readHostsToml } from "./hosts-toml.ts";
import type { CredentialHelper } from "./hosts-toml.ts";
import { registryItself } from "./registry-hosts.ts";

export interface HostsDirectoriesOptions {
  /**
   * Makes what asks a credential helper, for hosts whose table names one: `credential_helper = "ecr-login"`. Default: none, such a
   * file is refused.
   */
  readonly credentialHelper?: CredentialHelper | undefined;
}

/**
 * Endpoints as containerd is told of them: for each registry a directory with a `hosts.toml`, or with certificates as Docker
 * has them (`*.crt`, `*.cert`, `*.key`). The directory is `host_port_`, `host:port`, or `_default`, in the first of
 * `directories` that has one of these; no other is looked into. Directories that are missing are fine.
 *
 * Files are read when a repository is asked for first.
 *
 * @throws ERR_INVALID_DATA a file is not what it should be; the message names the file and the key, never a value
 */
export function hostsDirectories(
  directories: readonly string[],
  options: HostsDirectoriesOptions = {},
): EndpointsCallback {
  return async (host) => {
    for (const root of directories) {
      for (const name of directoryNames(host)) {
        const directory = join(root, name);
        if (await isDirectory(directory)) return endpointsIn(directory, host, options);
      }
    }
    return undefined;
  };
}

async function endpointsIn(
  directory: string,
  host: string,
  { credentialHelper }: HostsDirectoriesOptions,
): Promise<readonly RegistryEndpoint[] | undefined> {
  const endpoints = await readHostsToml(join(directory, "hosts.toml"), host, credentialHelper);
  if (endpoints !== undefined) return endpoints;
  const certificates = await readDockerFiles(directory);
  return certificates === undefined ? undefined : [{ ...registryItself(host), ...certificates }];
}

/** What the directory of a registry may be called; nothing that leads elsewhere. */
function directoryNames(host: string): readonly string[] {
  if (!/^[\w[\]][\w.:[\]-]*$/.test(host)) return ["_default"];
  const port = /^(.+):(\d+)$/.exec(host);
  return [...(port === null ? [] : [`${port[1]}_${port[2]}_`]), host, "_default"];
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
