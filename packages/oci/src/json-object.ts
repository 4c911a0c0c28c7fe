import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";

/**
 * One object of a document from outside, and where it stands there. The readers give `undefined` for a field that is
 * missing or null, which is how Go writes and reads empty ones, and throw ERR_INVALID_DATA for a wrong type.
 */
export class JsonObject {
  /** All fields as they came, but known ones that are null. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly #subject: string;
  readonly #path: string;

  /** @param known the fields that this code reads: no other spelling of them may stand beside them */
  constructor(value: unknown, subject: string, path: string, known: readonly string[]) {
    this.#subject = subject;
    this.#path = path;
    if (!isRecord(value)) throw this.fail(undefined, "not an object");
    const spellings = new Map(known.map((name) => [foldCase(name), name]));
    for (const name of Object.keys(value)) {
      // Go takes `Layers` for `layers`: two readers would see two images in one document.
      const meant = spellings.get(foldCase(name));
      if (meant !== undefined && meant !== name) throw this.fail(name, `another spelling of ${meant}`);
    }
    this.fields = Object.fromEntries(
      Object.entries(value).filter(([name, field]) => field !== null || !known.includes(name)),
    );
  }

  has(name: string): boolean {
    return this.#get(name) !== undefined;
  }

  required<T>(name: string, value: T | undefined): T {
    if (value === undefined || value === "") throw this.fail(name, "missing");
    return value;
  }

  text(name: string): string | undefined {
    return this.#typed(name, "a text", isText);
  }

  flag(name: string): boolean | undefined {
    return this.#typed(name, "true or false", (value) => typeof value === "boolean");
  }

  size(name: string): number | undefined {
    return this.#typed(name, "a size", (value): value is number => Number.isSafeInteger(value) && Number(value) >= 0);
  }

  texts(name: string): readonly string[] | undefined {
    return this.#typed(name, "a list of texts", (value): value is string[] => isList(value) && value.every(isText));
  }

  textMap(name: string): Readonly<Record<string, string>> | undefined {
    const map = this.#typed(name, "an object", isRecord);
    if (map === undefined) return undefined;
    const entries = Object.entries(map).map(([key, value]): [string, string] => {
      if (value !== null && !isText(value))
        throw this.fail(`${name}[${JSON.stringify(key.slice(0, 80))}]`, "not a text");
      return [key, value ?? ""];
    });
    return Object.fromEntries(entries);
  }

  record(name: string): Readonly<Record<string, unknown>> | undefined {
    return this.#typed(name, "an object", isRecord);
  }

  digest(name: string): Digest | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : this.#asDigest(name, text);
  }

  digests(name: string): readonly Digest[] | undefined {
    return this.texts(name)?.map((text, index) => this.#asDigest(`${name}[${index}]`, text));
  }

  object(name: string, known: readonly string[]): JsonObject | undefined {
    const value = this.#get(name);
    return value === undefined ? undefined : new JsonObject(value, this.#subject, this.#at(name), known);
  }

  objects(name: string, known: readonly string[]): readonly JsonObject[] | undefined {
    const list = this.#typed(name, "a list", isList);
    return list?.map((value, index) => new JsonObject(value, this.#subject, this.#at(`${name}[${index}]`), known));
  }

  fail(name: string | undefined, why: string): CodedError {
    const path = name === undefined ? this.#path : this.#at(name);
    return new CodedError("ERR_INVALID_DATA", [this.#subject, path, why].filter((part) => part !== "").join(": "));
  }

  #asDigest(name: string, text: string): Digest {
    try {
      return parseDigest(text);
    } catch (cause) {
      if (!(cause instanceof CodedError)) throw cause;
      const code = cause.code === "ERR_NOT_IMPLEMENTED" ? cause.code : "ERR_INVALID_DATA";
      throw new CodedError(code, `${this.#subject}: ${this.#at(name)}: ${cause.message}`, { cause });
    }
  }

  #typed<T>(name: string, wanted: string, check: (value: unknown) => value is T): T | undefined {
    const value = this.#get(name);
    if (value === undefined || check(value)) return value;
    throw this.fail(name, `not ${wanted}`);
  }

  #get(name: string): unknown {
    // Own fields only, or a missing one could be found on the prototype.
    return Object.hasOwn(this.fields, name) ? (this.fields[name] ?? undefined) : undefined;
  }

  #at(name: string): string {
    return this.#path === "" ? name : `${this.#path}.${name}`;
  }
}

/** The same fields without those that are undefined. */
export function defined<T extends object>(fields: T): Partial<T> {
  const result: Partial<T> = { ...fields };
  for (const name in result) if (result[name] === undefined) delete result[name];
  return result;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isList(value: unknown): value is unknown[] {
  return Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** By Unicode folding as Go does it: ſ is s, and the Kelvin sign is k. */
function foldCase(name: string): string {
  return name.toUpperCase().toLowerCase();
}
