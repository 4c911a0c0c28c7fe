import { CodedError } from "@varve/errors";
import type { Credentials } from "./credentials.ts";

/** The name that helpers, and files for podman's sake, use for an identity token. */
export const tokenUser = "<token>";

const secretFields: ReadonlySet<string> = new Set(["auth", "identitytoken", "registrytoken", "username", "password"]);

interface Entry {
  readonly auth?: unknown;
  readonly identitytoken?: unknown;
  readonly registrytoken?: unknown;
  readonly username?: unknown;
  readonly password?: unknown;
}

/**
 * Reads one entry of `auths`; `undefined` if nothing is kept in it, as docker leaves it beside a helper.
 *
 * @param subject names file and key in messages
 * @throws ERR_INVALID_DATA
 */
export function decodeEntry(value: unknown, subject: string, source: string): Credentials | undefined {
  if (value === null) return undefined;
  if (typeof value !== "object") throw new CodedError("ERR_INVALID_DATA", `${subject}: not an object`);
  const entry: Entry = value;
  const identityToken = textOf(entry.identitytoken, `${subject}: identitytoken`);
  if (identityToken !== "") return { identityToken, source };
  const registryToken = textOf(entry.registrytoken, `${subject}: registrytoken`);
  if (registryToken !== "") return { registryToken, source };
  const auth = textOf(entry.auth, `${subject}: auth`).trim();
  const [username, password] =
    auth === ""
      ? [textOf(entry.username, `${subject}: username`), textOf(entry.password, `${subject}: password`)]
      : decodeAuth(auth, subject);
  return fromPair(username, password, source);
}

/** What a user name and a secret mean, as helpers give them. */
export function fromPair(username: string, secret: string, source: string): Credentials | undefined {
  if (username === tokenUser) return secret === "" ? undefined : { identityToken: secret, source };
  return username === "" && secret === "" ? undefined : { username, password: secret, source };
}

/** What is written for credentials: all that podman needs to take an identity token is a user beside it. */
export function encodeEntry(credentials: Credentials): Record<string, string> {
  if ("registryToken" in credentials) return { registrytoken: credentials.registryToken };
  if ("identityToken" in credentials) {
    return { auth: base64(`${tokenUser}:`), identitytoken: credentials.identityToken };
  }
  return { auth: base64(`${credentials.username}:${credentials.password}`) };
}

/** What else an entry says. */
export function withoutSecrets(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(Object.entries(value).filter(([name]) => !secretFields.has(name)));
}

function decodeAuth(auth: string, subject: string): [string, string] {
  const text = /^[A-Za-z0-9+/_-]+={0,2}$/.test(auth) ? Buffer.from(auth, "base64").toString("utf8") : "";
  const colon = text.indexOf(":");
  if (colon === -1) throw new CodedError("ERR_INVALID_DATA", `${subject}: auth: not user:password in base64`);
  // Old versions of docker filled the password up with zeros.
  return [text.slice(0, colon), text.slice(colon + 1).replace(/\0+$/, "")];
}

function textOf(value: unknown, subject: string): string {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw new CodedError("ERR_INVALID_DATA", `${subject}: not a text`);
  return value;
}

function base64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}
