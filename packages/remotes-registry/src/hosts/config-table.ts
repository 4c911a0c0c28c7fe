import { readConfigFile } from "./config-file.ts";
import { ConfigPlace } from "./config-place.ts";

/** A table of a TOML file, whose values are read with checks; every error names the file and the key. */
export class ConfigTable {
  readonly place: ConfigPlace;
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: unknown, place: ConfigPlace) {
    if (typeof values !== "object" || values === null || Array.isArray(values) || values instanceof Date) {
      throw place.error("must be a table");
    }
    this.#values = Object.fromEntries(Object.entries(values));
    this.place = place;
  }

  /** The keys in the order of the file. */
  keys(): readonly string[] {
    return Object.keys(this.#values);
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#values, key);
  }

  get(key: string): unknown {
    return this.has(key) ? this.#values[key] : undefined;
  }

  string(key: string): string | undefined {
    const value = this.get(key);
    if (value === undefined || typeof value === "string") return value;
    throw this.place.at(key).error("must be a string");
  }

  boolean(key: string): boolean | undefined {
    const value = this.get(key);
    if (value === undefined || typeof value === "boolean") return value;
    throw this.place.at(key).error("must be true or false");
  }

  /** A string, or a list of them. */
  strings(key: string): readonly string[] | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (typeof value === "string") return [value];
    return stringsOf(value, this.place.at(key));
  }

  table(key: string): ConfigTable | undefined {
    return this.has(key) ? new ConfigTable(this.get(key), this.place.at(key)) : undefined;
  }

  /** An array of tables: `[[key]]`. */
  tables(key: string): readonly ConfigTable[] {
    const value = this.get(key);
    if (value === undefined) return [];
    const place = this.place.at(key);
    return listOf(value, place, "tables").map((one, index) => new ConfigTable(one, place.at(index)));
  }
}

/**
 * Reads a TOML file; `undefined` if it is not there, or empty.
 *
 * @throws ERR_INVALID_DATA it is not TOML
 */
export async function readToml(path: string): Promise<ConfigTable | undefined> {
  const text = await readConfigFile(path);
  if (text === undefined || text === "") return undefined;
  const place = new ConfigPlace(path);
  const { parse, TomlError } = await import("smol-toml");
  try {
    return new ConfigTable(parse(text), place);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // No cause: the parser's error quotes the lines, and headers in them may be secret.
    const [why = ""] = error.message.split("\n");
    throw place.error(`line ${error.line}: ${why.replace(/^Invalid TOML document: /, "")}`);
  }
}

export function listOf(value: unknown, place: ConfigPlace, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw place.error(`must be a list of ${what}`);
}

export function stringsOf(value: unknown, place: ConfigPlace): readonly string[] {
  return listOf(value, place, "strings").map((one, index) => {
    if (typeof one === "string") return one;
    throw place.at(index).error("must be a string");
  });
}
