import { CodedError } from "@varve/errors";
import { normalKey } from "./keys.ts";

/** A JSON object as it was parsed. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** What a `config.json` or `auth.json` says of credentials; keys are as they are written there. */
export interface AuthDocument {
  readonly auths: ReadonlyMap<string, unknown>;
  /** Names of helpers by host. */
  readonly credHelpers: ReadonlyMap<string, string>;
  readonly credsStore: string | undefined;
}

/**
 * Reads the whole of a file.
 *
 * @param subject names the file in messages
 * @throws ERR_INVALID_DATA it is no JSON object. There is no cause: the parser's error would quote the file.
 */
export function parseObject(text: string, subject: string): JsonObject {
  // docker takes an empty file for one that says nothing.
  if (text.trim() === "") return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch {
    throw new CodedError("ERR_INVALID_DATA", `${subject}: not JSON`);
  }
  return objectOf(parsed, subject);
}

/** @param legacy the whole object is what is `auths` elsewhere (`.dockercfg`) */
export function documentOf(object: JsonObject, subject: string, legacy: boolean): AuthDocument {
  if (legacy) return { auths: new Map(Object.entries(object)), credHelpers: new Map(), credsStore: undefined };
  const { credsStore } = object;
  const helpers = Object.entries(objectOf(object["credHelpers"] ?? {}, `${subject}: credHelpers`));
  return {
    auths: new Map(Object.entries(objectOf(object["auths"] ?? {}, `${subject}: auths`))),
    credHelpers: new Map(helpers.filter((entry): entry is [string, string] => isName(entry[1]))),
    credsStore: isName(credsStore) ? credsStore : undefined,
  };
}

/** The helpers that are to be asked for a host, in that order. */
export function helpersFor(document: AuthDocument, host: string): string[] {
  const own = [...document.credHelpers].find(([key]) => normalKey(key) === host)?.[1];
  return [...new Set([own, document.credsStore])].filter((name) => name !== undefined);
}

/** The entries that stand for a key, in whichever form it is written. */
export function entriesFor(document: AuthDocument, normal: string): [string, unknown][] {
  return [...document.auths].filter(([key]) => normalKey(key) === normal);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function objectOf(value: unknown, subject: string): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw new CodedError("ERR_INVALID_DATA", `${subject}: not an object`);
}
