import type { Credentials } from "@varve/client";
import { parseUserAndPassword } from "./arguments/user-and-password.ts";
import { UsageError } from "./exit-code.ts";

/** What a command line says of who we are. */
export interface LoginFlags {
  /** `USER:PASSWORD`; false after `--no-creds`. */
  readonly creds?: string | false;
  readonly registryToken?: string;
  /** Of `copy`. */
  readonly srcCreds?: string;
  readonly srcRegistryToken?: string;
  readonly destCreds?: string;
  readonly destRegistryToken?: string;
}

/**
 * The credentials of the command line, by the registry that they are for: that of the command's reference, and no other server.
 *
 * @param hosts of `copy` the source and the destination; as they stand in references
 */
export function loginsFrom(flags: LoginFlags, hosts: readonly string[]): Readonly<Record<string, Credentials>> {
  const [source = "", destination = source] = hosts;
  const common = loginOf("", flags.creds, flags.registryToken);
  const ofSource = loginOf("src-", flags.srcCreds, flags.srcRegistryToken);
  const ofDestination = loginOf("dest-", flags.destCreds, flags.destRegistryToken);
  const given = [common, ofSource, ofDestination].filter((login) => login !== undefined);
  if (given.length > 1 && (common !== undefined || source === destination)) {
    throw new UsageError(`${given.map(({ name }) => `--${name}`).join(" and ")}: there is one login for a registry`);
  }
  const named = new Set(hosts);
  if (common !== undefined && named.size > 1) {
    throw new UsageError(`--${common.name}: is for one registry, here are ${[...named].join(" and ")}`);
  }
  const logins = new Map<string, Credentials>();
  const login = common ?? ofSource;
  if (login !== undefined) logins.set(source, login.credentials);
  if (ofDestination !== undefined) logins.set(destination, ofDestination.credentials);
  return Object.fromEntries(logins);
}

interface Login {
  /** The option, without dashes. */
  readonly name: string;
  readonly credentials: Credentials;
}

function loginOf(
  side: string,
  creds: string | false | undefined,
  registryToken: string | undefined,
): Login | undefined {
  const [ofCreds, ofToken] = [`${side}creds`, `${side}registry-token`];
  if (typeof creds === "string" && registryToken !== undefined) {
    throw new UsageError(`--${ofCreds} and --${ofToken}: only one of them can be used`);
  }
  if (registryToken !== undefined) return { name: ofToken, credentials: { registryToken, source: `--${ofToken}` } };
  if (typeof creds !== "string") return undefined;
  const pair = parseUserAndPassword(creds, `--${ofCreds}`);
  return { name: ofCreds, credentials: { ...pair, source: `--${ofCreds}` } };
}
