import { readFile, stat } from "node:fs/promises";
import type { OpenRegistryOptions } from "@varve/client";
import { CodedError } from "@varve/errors";
import { registryHost } from "@varve/reference";
import { printExchange, printNotice } from "./http-trace.ts";
import { loginsFrom } from "./logins.ts";
import type { LoginFlags } from "./logins.ts";
import { printNote } from "./output.ts";
import { ownVersion } from "./own-version.ts";

/** What every command that talks to registries takes. */
export interface RegistryFlags extends LoginFlags {
  readonly plainHttp?: boolean;
  readonly insecure?: boolean;
  readonly tlsVerify?: boolean;
  /** Of `copy`. */
  readonly srcTlsVerify?: boolean;
  readonly destTlsVerify?: boolean;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly authfile?: string;
  readonly hostsDir?: readonly string[];
  readonly registriesConf?: readonly string[];
  readonly retryTimes?: number;
  /** Milliseconds. */
  readonly retryDelay?: number;
  readonly connectionsPerBlob?: number;
  readonly uploadChunkSize?: number;
  readonly userAgentPrefix?: string;
  readonly httpTrace?: boolean;
  readonly progress: string;
}

/**
 * How the command line says that registries are reached.
 *
 * @param hosts whom the command asks, as they stand in references; of `copy` the source and the destination
 */
export async function registryOptions(flags: RegistryFlags, hosts: readonly string[]): Promise<OpenRegistryOptions> {
  const { certFile, keyFile, caFile, registriesConf } = flags;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new CodedError("ERR_INVALID_ARGUMENT", "--cert-file and --key-file: one needs the other");
  }
  const logins = loginsFrom(flags, hosts);
  for (const path of [...(flags.hostsDir ?? []), ...(registriesConf ?? [])]) await mustBeThere(path);
  if (flags.authfile !== undefined && !(await isThere(flags.authfile))) {
    printNote(`${flags.authfile}: no such file, so there are no credentials in it`);
  }
  const clientCertificates =
    certFile === undefined || keyFile === undefined
      ? undefined
      : [{ certificate: await readPem(certFile), key: await readPem(keyFile) }];
  return {
    plainHttp: flags.plainHttp,
    skipVerify: skipVerifyFrom(flags, hosts),
    certificateAuthorities: caFile === undefined ? undefined : [await readPem(caFile)],
    clientCertificates,
    credentialsFile: flags.authfile,
    logins,
    credentials: flags.creds === false ? async (host) => new Map(Object.entries(logins)).get(host) : undefined,
    hostsDirectories: flags.hostsDir,
    registriesFiles: registriesConf,
    retries: flags.retryTimes,
    retryDelay: flags.retryDelay,
    connectionsPerBlob: flags.connectionsPerBlob,
    uploadChunkSize: flags.uploadChunkSize,
    userAgent: flags.userAgentPrefix === undefined ? undefined : `${flags.userAgentPrefix} varve/${ownVersion()}`,
    onWarning: printNote,
    onNotice: flags.progress === "none" ? undefined : printNotice,
    onExchange: flags.httpTrace === true ? printExchange : undefined,
  };
}

function skipVerifyFrom(
  { insecure, tlsVerify, srcTlsVerify, destTlsVerify }: RegistryFlags,
  [source = "", destination = source]: readonly string[],
): boolean | ((host: string) => boolean) {
  if (insecure === true || tlsVerify === false) return true;
  const skipped = [...(srcTlsVerify === false ? [source] : []), ...(destTlsVerify === false ? [destination] : [])];
  const addresses = new Set(skipped.map((domain) => registryHost({ domain })));
  return (host) => addresses.has(host);
}

/** Mirrors that are silently unused because of a typing error are hard to find. */
async function mustBeThere(path: string): Promise<void> {
  if (!(await isThere(path))) throw new CodedError("ERR_NOT_FOUND", `${path}: no such file or directory`);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new CodedError("ERR_NOT_FOUND", `file ${path}: no such file`, { cause: error });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
