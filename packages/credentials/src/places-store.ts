import { CodedError } from "@varve/errors";
import { documentOf, entriesFor, helpersFor, parseObject } from "./auth-document.ts";
import type { AuthDocument } from "./auth-document.ts";
import { decodeEntry } from "./auth-entry.ts";
import type { CredentialCallOptions, CredentialEntry, CredentialStore } from "./credential-store.ts";
import type { Credentials } from "./credentials.ts";
import { withEmptyEntries, withEntry, withoutEntries } from "./edit.ts";
import { Helper, isPassedOver } from "./helper.ts";
import { isKey, keysFor, normalKey } from "./keys.ts";
import { listPlace } from "./list-place.ts";
import type { FilePlace, Place, Places } from "./places.ts";
import { hasErrno, readSmallFile } from "./read-file.ts";
import { changeFile } from "./replace-file.ts";

export interface StoreSettings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly helperTimeout: number;
  readonly onWarning: (message: string) => void;
}

type Signal = AbortSignal | undefined;

/** The store over files, a variable and the helpers that they name. */
export class PlacesStore implements CredentialStore {
  readonly #places: Places;
  readonly #settings: StoreSettings;

  constructor(places: Places, settings: StoreSettings) {
    this.#places = places;
    this.#settings = settings;
  }

  async get(host: string, repository?: string, options: CredentialCallOptions = {}): Promise<Credentials | undefined> {
    const { signal } = options;
    for (const place of this.#places.all) {
      signal?.throwIfAborted();
      const document = await this.#read(place);
      const found =
        document && ((await this.#fromHelpers(document, host, signal)) ?? fromAuths(document, place, host, repository));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async put(key: string, credentials: Credentials, options: CredentialCallOptions = {}): Promise<string> {
    const { signal } = options;
    signal?.throwIfAborted();
    const normal = normalKey(key);
    check(normal, credentials);
    const place = await this.#placeFor(normal);
    const document = await this.#read(place);
    const [name] = document === undefined ? [] : helpersFor(document, hostOf(normal));
    if (name === undefined) {
      await changeFile(place.path, (text) => withEntry(text, place.path, normal, credentials), signal);
      return place.path;
    }
    const helper = this.#helper(name, signal);
    if (normal.includes("/")) {
      throw new CodedError("ERR_NOT_IMPLEMENTED", `${normal}: ${helper.program} keeps credentials of whole hosts only`);
    }
    await helper.store(normal, credentials);
    // What is kept there from before must not lie about in the file any longer.
    if (document !== undefined && knowsEntry(document, normal)) {
      await changeFile(place.path, (text) => withEmptyEntries(text, place.path, normal), signal);
    }
    return helper.program;
  }

  async delete(key: string, options: CredentialCallOptions = {}): Promise<readonly string[]> {
    const normal = normalKey(key);
    const cleared: string[] = [];
    const failures: unknown[] = [];
    for (const place of this.#places.all) {
      options.signal?.throwIfAborted();
      try {
        for await (const name of this.#clear(place, normal, options.signal)) cleared.push(name);
      } catch (error) {
        options.signal?.throwIfAborted();
        // The other places are to be cleared all the same.
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    return [...new Set(cleared)];
  }

  async list(options: CredentialCallOptions = {}): Promise<readonly CredentialEntry[]> {
    const entries: CredentialEntry[] = [];
    const helper = (name: string): Helper => this.#helper(name, options.signal);
    for (const place of this.#places.all) {
      options.signal?.throwIfAborted();
      const document = await this.#read(place);
      if (document === undefined) continue;
      entries.push(...(await listPlace(document, nameOf(place), helper, this.#settings.onWarning)));
    }
    return entries;
  }

  async #fromHelpers(document: AuthDocument, host: string, signal: Signal): Promise<Credentials | undefined> {
    for (const name of helpersFor(document, normalKey(host))) {
      try {
        const found = await this.#helper(name, signal).get(normalKey(host));
        if (found !== undefined) return found;
      } catch (error) {
        if (!isPassedOver(error)) throw error;
        this.#settings.onWarning(error.message);
      }
    }
    return undefined;
  }

  /** Where an entry is found before docker's own file would be asked, or else that file. */
  async #placeFor(normal: string): Promise<FilePlace> {
    const { all, login } = this.#places;
    if (login === undefined) throw new CodedError("ERR_NOT_IMPLEMENTED", `${normal}: no file to keep credentials in`);
    const at = all.findIndex((place) => place.type === "file" && place.path === login.path);
    for (const place of all.slice(0, at)) {
      const document = await this.#read(place);
      if (document === undefined || !knows(document, normal)) continue;
      if (place.type === "file") return place;
      this.#settings.onWarning(`${place.name}: has credentials for ${normal}, which come before those of files`);
    }
    return login;
  }

  async *#clear(place: Place, normal: string, signal: Signal): AsyncGenerator<string, void, undefined> {
    const document = await this.#read(place);
    if (document === undefined) return;
    if (!normal.includes("/")) {
      for (const name of helpersFor(document, normal)) {
        const helper = this.#helper(name, signal);
        if (await helper.erase(normal)) yield helper.program;
      }
    }
    const entries = entriesFor(document, normal);
    if (entries.length === 0) return;
    if (place.type === "variable") {
      this.#settings.onWarning(`${place.name}: has credentials for ${normal}, which stay there`);
      return;
    }
    await changeFile(place.path, (text) => withoutEntries(text, place.path, place.legacy, normal), signal);
    if (entries.some(([, value]) => isFilled(value))) yield place.path;
  }

  async #read(place: Place): Promise<AuthDocument | undefined> {
    if (place.type === "variable") return documentOf(parseObject(place.text, place.name), place.name, false);
    try {
      const file = await readSmallFile(place.path);
      return file && documentOf(parseObject(file.text, place.path), place.path, place.legacy);
    } catch (error) {
      if (!hasErrno(error, "EACCES")) throw error;
      this.#settings.onWarning(`${place.path}: may not be read`);
      return undefined;
    }
  }

  #helper(name: string, signal: Signal): Helper {
    const { environment, helperTimeout: timeout } = this.#settings;
    return new Helper(name, { environment, timeout, signal });
  }
}

function fromAuths(
  document: AuthDocument,
  place: Place,
  host: string,
  repository: string | undefined,
): Credentials | undefined {
  for (const key of keysFor(host, repository)) {
    for (const [, value] of entriesFor(document, key)) {
      const found = decodeEntry(value, `${nameOf(place)}: entry for ${key}`, nameOf(place));
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** Whether a lookup of exactly this key would end here. */
function knows(document: AuthDocument, normal: string): boolean {
  return helpersFor(document, hostOf(normal)).length > 0 || knowsEntry(document, normal);
}

function knowsEntry(document: AuthDocument, normal: string): boolean {
  return entriesFor(document, normal).some(([, value]) => isFilled(value));
}

function isFilled(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length > 0;
}

function check(normal: string, credentials: Credentials): void {
  if (!isKey(normal)) throw invalid(`${JSON.stringify(normal)}: not a host, nor a host with a path`);
  if (!("username" in credentials)) return;
  const subject = `credentials for ${normal}`;
  if (credentials.username === "") throw invalid(`${subject}: no user name`);
  // Wherever the pair is read again, the password begins behind the first colon (RFC 7617).
  if (/[:\p{Cc}]/u.test(credentials.username)) {
    throw invalid(`${subject}: a colon or a control character in the user name`);
  }
}

function invalid(message: string): CodedError {
  return new CodedError("ERR_INVALID_ARGUMENT", message);
}

function hostOf(normal: string): string {
  return normal.split("/", 1)[0] ?? normal;
}

function nameOf(place: Place): string {
  return place.type === "file" ? place.path : place.name;
}
