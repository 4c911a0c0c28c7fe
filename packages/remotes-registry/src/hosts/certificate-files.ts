import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { isMissing, readConfigFile } from "./config-file.ts";
import { ConfigPlace } from "./config-place.ts";
import type { ClientCertificate, RegistryEndpoint } from "./endpoint.ts";

/**
 * Reads a file of certificates of authorities, in PEM.
 *
 * @param place where the file is named
 */
export async function readAuthorities(path: string, place: ConfigPlace): Promise<string> {
  const pem = await readNamed(path, place);
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) throw place.error(`${path} has no certificate in PEM form`);
  mustLoad({ ca: pem }, path, place);
  return pem;
}

/** Reads a certificate and its key, which may be in one file. */
export async function readPair(certificate: string, key: string, place: ConfigPlace): Promise<ClientCertificate> {
  const pair = {
    certificate: await readNamed(certificate, place),
    key: await readNamed(key, place),
  };
  mustLoad({ cert: pair.certificate, key: pair.key }, certificate, place);
  return pair;
}

/**
 * What Docker's files in a directory say: `*.crt` are authorities, `X.cert` and `X.key` belong together.
 *
 * @returns `undefined` if there are none
 * @throws ERR_INVALID_DATA half of a pair is missing, or a file is not what its name says
 */
export async function readDockerFiles(
  directory: string,
): Promise<Pick<RegistryEndpoint, "certificateAuthorities" | "clientCertificates"> | undefined> {
  const names = await namesIn(directory);
  const found = { certificateAuthorities: [] as string[], clientCertificates: [] as ClientCertificate[] };
  for (const name of names) {
    const path = join(directory, name);
    if (name.endsWith(".crt")) found.certificateAuthorities.push(await readAuthorities(path, new ConfigPlace(path)));
    if (name.endsWith(".cert")) found.clientCertificates.push(await readDockerPair(path, ".cert", names));
    if (name.endsWith(".key")) mustHave(path, ".key", ".cert", names);
  }
  const { certificateAuthorities: authorities, clientCertificates: clients } = found;
  if (authorities.length + clients.length === 0) return undefined;
  return {
    ...(authorities.length > 0 && { certificateAuthorities: authorities }),
    ...(clients.length > 0 && { clientCertificates: clients }),
  };
}

async function readDockerPair(path: string, end: string, names: readonly string[]): Promise<ClientCertificate> {
  mustHave(path, end, ".key", names);
  return readPair(path, `${path.slice(0, -end.length)}.key`, new ConfigPlace(path));
}

function mustHave(path: string, end: string, other: string, names: readonly string[]): void {
  const wanted = `${path.slice(path.lastIndexOf("/") + 1, -end.length)}${other}`;
  if (!names.includes(wanted)) throw new ConfigPlace(path).error(`${wanted} is missing beside it`);
}

/** In order, so that the same files give the same endpoint. */
async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).toSorted();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function readNamed(path: string, place: ConfigPlace): Promise<string> {
  const text = await readConfigFile(path);
  if (text === undefined) throw place.error(`${path} is not there`);
  return text;
}

/** OpenSSL says whether it can use them; the first connection would be late for that. */
function mustLoad(options: { ca: string } | { cert: string; key: string }, path: string, place: ConfigPlace): void {
  try {
    createSecureContext(options);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw place.error(`${path} cannot be used: ${why}`, cause);
  }
}
