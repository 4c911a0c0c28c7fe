import { text } from "node:stream/consumers";
import { openCredentials } from "@varve/credentials";
import type { Credentials } from "@varve/credentials";
import { parseReference } from "@varve/reference";
import type { CommandRun } from "../command-run.ts";
import { UsageError } from "../exit-code.ts";
import { printNote, printResult } from "../output.ts";
import { registryOptions } from "../registry-options.ts";
import type { RegistryFlags } from "../registry-options.ts";
import { askFor } from "./ask-for.ts";

interface LoginOptions extends RegistryFlags {
  readonly username?: string;
  readonly password?: string;
  readonly passwordStdin?: boolean;
  readonly identityTokenStdin?: boolean;
  readonly skipCheck?: boolean;
}

/** Checks credentials by a real request, so that what is kept works. */
export async function login(registry: string, { options, signal }: CommandRun<LoginOptions>): Promise<void> {
  const host = hostOf(registry);
  let credentials = await readCredentials(host, options, signal);
  if (options.skipCheck !== true) {
    const { checkLogin } = await import("@varve/client");
    // The file may not be there yet.
    const { authfile: _place, ...others } = options;
    const how = await registryOptions(others, [host]);
    const { scheme, identityToken } = await checkLogin(host, credentials, { ...how, signal });
    if (scheme === "none") printNote(`${host} asks nobody who they are: nothing was checked`);
    if (identityToken !== undefined) credentials = { identityToken };
  }
  const place = await openCredentials({ file: options.authfile, onWarning: printNote }).put(host, credentials, {
    signal,
  });
  await printResult(options.json, { registry: host, kept: place }, () => [`logged in to ${host}, kept in ${place}`]);
}

export async function logout(registry: string, { options, signal }: CommandRun<RegistryFlags>): Promise<void> {
  const host = hostOf(registry);
  const places = await openCredentials({ file: options.authfile, onWarning: printNote }).delete(host, { signal });
  await printResult(options.json, { registry: host, removed: places }, () =>
    places.length === 0
      ? [`${host}: nothing was kept`]
      : places.map((place) => `logged out of ${host}, removed from ${place}`),
  );
}

/** As in references, so that what is kept is found again; people also write `https://` in front. */
function hostOf(typed: string): string {
  const host = typed.replace(/^https?:\/\//, "").replace(/\/+$/, "");
  try {
    const { domain } = parseReference(`${host}/x`);
    if (domain === host || domain === "docker.io") return domain;
  } catch (error) {
    throw new UsageError(`login: ${host}: not a registry's host`, { cause: error });
  }
  throw new UsageError(`login: ${host}: not a registry's host: it has a dot, a port, or is localhost`);
}

async function readCredentials(host: string, options: LoginOptions, signal: AbortSignal): Promise<Credentials> {
  if (options.password !== undefined) {
    throw new UsageError("login: everybody sees a password on the command line: use --password-stdin");
  }
  if (options.passwordStdin === true && options.identityTokenStdin === true) {
    throw new UsageError("login: --password-stdin or --identity-token-stdin, not both");
  }
  if (options.identityTokenStdin === true) return { identityToken: await readSecret("identity token") };
  if (options.passwordStdin === true) {
    if (options.username === undefined) throw new UsageError("login: --password-stdin: say --username");
    return { username: options.username, password: await readSecret("password") };
  }
  if (!process.stdin.isTTY) throw new UsageError("login: standard input is no terminal: say --password-stdin");
  const username = options.username ?? (await askFor(`User at ${host}: `, { signal }));
  return { username, password: await askFor(`Password of ${username}: `, { isSecret: true, signal }) };
}

/** Without the end of line that `echo` adds. */
async function readSecret(what: string): Promise<string> {
  const secret = (await text(process.stdin)).replace(/\r?\n$/, "");
  if (secret === "") throw new UsageError(`login: standard input has no ${what}`);
  return secret;
}
