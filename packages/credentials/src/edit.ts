import { encodeEntry, withoutSecrets } from "./auth-entry.ts";
import { parseObject } from "./auth-document.ts";
import type { JsonObject } from "./auth-document.ts";
import type { Credentials } from "./credentials.ts";
import { fileKey, normalKey } from "./keys.ts";

/** Puts an entry in the place of all that stand for the same key. Everything else stays, in its order. */
export function withEntry(text: string | undefined, subject: string, key: string, credentials: Credentials): string {
  return edited(text, subject, false, (auths) => {
    const before = auths.filter(([name]) => normalKey(name) === key);
    const value = { ...withoutSecrets(before[0]?.[1]), ...encodeEntry(credentials) };
    const at = before[0] === undefined ? auths.length : auths.indexOf(before[0]);
    const others = (part: [string, unknown][]): [string, unknown][] => part.filter((entry) => !before.includes(entry));
    return [...others(auths.slice(0, at)), [fileKey(key), value], ...others(auths.slice(at))];
  });
}

/** Drops the entries for a key; `undefined` if there are none. */
export function withoutEntries(
  text: string | undefined,
  subject: string,
  legacy: boolean,
  key: string,
): string | undefined {
  return editedIf(text, subject, legacy, key, () => undefined);
}

/** Leaves entries for a key without their secrets, as docker does when a helper keeps them; `undefined` if there are none. */
export function withEmptyEntries(text: string | undefined, subject: string, key: string): string | undefined {
  return editedIf(text, subject, false, key, withoutSecrets);
}

function editedIf(
  text: string | undefined,
  subject: string,
  legacy: boolean,
  key: string,
  change: (value: unknown) => unknown,
): string | undefined {
  let found = false;
  const changed = edited(text, subject, legacy, (auths) =>
    auths.flatMap(([name, value]): [string, unknown][] => {
      if (normalKey(name) !== key) return [[name, value]];
      found = true;
      const after = change(value);
      return after === undefined ? [] : [[name, after]];
    }),
  );
  return found ? changed : undefined;
}

function edited(
  text: string | undefined,
  subject: string,
  legacy: boolean,
  change: (auths: [string, unknown][]) => [string, unknown][],
): string {
  const object = parseObject(text ?? "", subject);
  if (legacy) return printed(Object.fromEntries(change(Object.entries(object))), text);
  // Built anew, since an assignment to a field called `__proto__` would not make a field.
  const fields = new Map(Object.entries(object));
  fields.set("auths", Object.fromEntries(change(Object.entries(fields.get("auths") ?? {}))));
  return printed(Object.fromEntries(fields), text);
}

/** As it was indented; docker and podman use tabs. */
function printed(object: JsonObject, before: string | undefined): string {
  const indent = /^\s*\{\r?\n([ \t]+)/.exec(before ?? "")?.[1] ?? "\t";
  return `${JSON.stringify(object, undefined, indent)}${before?.endsWith("\n") === true ? "\n" : ""}`;
}
