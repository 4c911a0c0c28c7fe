import { hasCode } from "@varve/errors";
import type { AuthDocument } from "./auth-document.ts";
import { decodeEntry, tokenUser } from "./auth-entry.ts";
import type { CredentialEntry } from "./credential-store.ts";
import { isPassedOver } from "./helper.ts";
import type { Helper } from "./helper.ts";
import { normalKey } from "./keys.ts";

/** Lists what one file or variable, and the helpers that it names, keep. */
export async function listPlace(
  document: AuthDocument,
  source: string,
  helper: (name: string) => Helper,
  onWarning: (message: string) => void,
): Promise<CredentialEntry[]> {
  const { auths, credHelpers, credsStore } = document;
  const entries = [...auths].flatMap(([key, value]) => entryFrom(key, value, source, onWarning));
  const listed = new Map<string, ReadonlyMap<string, string>>();
  for (const name of new Set([...credHelpers.values(), ...(credsStore === undefined ? [] : [credsStore])])) {
    listed.set(name, await usersIn(helper(name), onWarning));
  }
  // A helper that makes credentials when it is asked has none to list.
  for (const [key, name] of credHelpers) {
    const users = [...(listed.get(name) ?? [])];
    const user = users.find(([other]) => normalKey(other) === normalKey(key))?.[1];
    entries.push(entryOf(key, user, helper(name).program));
  }
  if (credsStore === undefined) return entries;
  const { program } = helper(credsStore);
  return [...entries, ...Array.from(listed.get(credsStore) ?? [], ([key, user]) => entryOf(key, user, program))];
}

function entryFrom(
  key: string,
  value: unknown,
  source: string,
  onWarning: (message: string) => void,
): CredentialEntry[] {
  try {
    const found = decodeEntry(value, `${source}: entry for ${normalKey(key)}`, source);
    return found === undefined ? [] : [entryOf(key, "username" in found ? found.username : undefined, source)];
  } catch (error) {
    if (!hasCode(error, "ERR_INVALID_DATA")) throw error;
    onWarning(error.message);
    return [entryOf(key, undefined, source)];
  }
}

async function usersIn(helper: Helper, onWarning: (message: string) => void): Promise<ReadonlyMap<string, string>> {
  try {
    return await helper.list();
  } catch (error) {
    if (!isPassedOver(error)) throw error;
    onWarning(error.message);
    return new Map();
  }
}

function entryOf(key: string, user: string | undefined, source: string): CredentialEntry {
  return user === undefined || user === tokenUser ? { key, source } : { key, username: user, source };
}
