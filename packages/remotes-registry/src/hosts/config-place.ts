import { CodedError } from "@varve/errors";

/** A place in a configuration file, for messages: the file, and the key in it. */
export class ConfigPlace {
  readonly file: string;
  readonly #key: string;

  constructor(file: string, key = "") {
    this.file = file;
    this.#key = key;
  }

  /** A key below this one; a number is a place in a list. */
  at(key: string | number): ConfigPlace {
    return new ConfigPlace(this.file, `${this.#key}${stepTo(key)}`.replace(/^\./, ""));
  }

  /** The error for what stands here. What it says must not repeat values: some are secret. */
  error(why: string, cause?: unknown): CodedError {
    const key = this.#key === "" ? "" : `${this.#key}: `;
    return new CodedError("ERR_INVALID_DATA", `${this.file}: ${key}${why}`, cause === undefined ? {} : { cause });
  }
}

function stepTo(key: string | number): string {
  if (typeof key === "number") return `[${key}]`;
  if (/^[\w-]+$/.test(key)) return `.${key}`;
  // A key may be an address, and somebody may have put a password into it.
  const shown = key.replace(/\/\/[^/]*@/, "//…@").replace(/\?.*/s, "?…");
  return `.${JSON.stringify(shown.slice(0, 128))}`;
}
