import { CodedError, hasCode } from "@varve/errors";
import { fromPair, tokenUser } from "./auth-entry.ts";
import type { Credentials } from "./credentials.ts";
import { isHelperName, programOf, runHelper } from "./helper-process.ts";
import type { HelperAction } from "./helper-process.ts";
import { helperKeys } from "./keys.ts";
import { hasErrno } from "./read-file.ts";

export interface HelperSettings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

/** What a helper said to one call. Its own words are never passed on: they may hold secrets. */
type Answer =
  | { readonly type: "done"; readonly output: string }
  | { readonly type: "none" }
  | { readonly type: "failed"; readonly missing: boolean; readonly error: CodedError };

/** One credential helper, as docker and podman call them. */
export class Helper {
  readonly program: string;
  readonly #name: string;
  readonly #settings: HelperSettings;

  constructor(name: string, settings: HelperSettings) {
    this.program = isHelperName(name) ? programOf(name) : "credential helper";
    this.#name = name;
    this.#settings = settings;
  }

  /**
   * @throws ERR_FAILED_PRECONDITION it is not installed, or fails
   * @throws ERR_INVALID_DATA it answers with something else
   */
  async get(host: string): Promise<Credentials | undefined> {
    for (const key of helperKeys(host)) {
      const answer = await this.#ask("get", key);
      if (answer.type === "failed") throw answer.error;
      if (answer.type === "none") continue;
      const { Username: username, Secret: secret } = this.#parse("get", answer.output);
      if (typeof username !== "string" || typeof secret !== "string") throw this.#malformed("get");
      const found = fromPair(username, secret, this.program);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** @throws ERR_NOT_IMPLEMENTED helpers keep no registry tokens */
  async store(host: string, credentials: Credentials): Promise<void> {
    if ("registryToken" in credentials) {
      throw new CodedError("ERR_NOT_IMPLEMENTED", `${this.program}: helpers keep no registry tokens`);
    }
    const [key = host] = helperKeys(host);
    const [username, secret] =
      "identityToken" in credentials
        ? [tokenUser, credentials.identityToken]
        : [credentials.username, credentials.password];
    await this.#must("store", JSON.stringify({ ServerURL: key, Username: username, Secret: secret }));
  }

  /** Forgets what is kept for a host; a helper that is not installed keeps nothing. */
  async erase(host: string): Promise<boolean> {
    let erased = false;
    for (const key of helperKeys(host)) {
      const answer = await this.#ask("get", key);
      if (answer.type === "none" || (answer.type === "failed" && answer.missing)) continue;
      await this.#must("erase", key);
      erased = true;
    }
    return erased;
  }

  /** User names by key. */
  async list(): Promise<ReadonlyMap<string, string>> {
    const answer = await this.#ask("list", "");
    if (answer.type === "failed") throw answer.error;
    if (answer.type === "none") return new Map();
    const entries = Object.entries(this.#parse("list", answer.output));
    return new Map(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
  }

  async #must(action: HelperAction, input: string): Promise<void> {
    const answer = await this.#ask(action, input);
    if (answer.type === "failed") throw answer.error;
  }

  async #ask(action: HelperAction, input: string): Promise<Answer> {
    if (!isHelperName(this.#name)) return this.#failed(false, `${JSON.stringify(this.#name)}: not a name`);
    try {
      const { status, output } = await runHelper({ ...this.#settings, name: this.#name, action, input });
      if (status === 0) return { type: "done", output };
      if (/credentials not found/i.test(output)) return { type: "none" };
      return this.#failed(false, `${action}: ${status === undefined ? "killed" : `exit status ${status}`}`);
    } catch (error) {
      if (hasErrno(error, "ENOENT")) return this.#failed(true, "not found in PATH");
      if (hasErrno(error, "EACCES")) return this.#failed(true, "not executable");
      throw error;
    }
  }

  #failed(missing: boolean, why: string): Answer {
    return {
      type: "failed",
      missing,
      error: new CodedError("ERR_FAILED_PRECONDITION", `${this.program}: ${why}`),
    };
  }

  #parse(action: HelperAction, output: string): Readonly<Record<string, unknown>> {
    let parsed: unknown;
    try {
      parsed = JSON.parse(output);
    } catch {
      // The parser's error would quote the answer.
      throw this.#malformed(action);
    }
    // What Go prints for an empty map.
    if (parsed === null && action === "list") return {};
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) throw this.#malformed(action);
    return { ...parsed };
  }

  #malformed(action: HelperAction): CodedError {
    return new CodedError("ERR_INVALID_DATA", `${this.program}: ${action}: an answer of another form`);
  }
}

/** Whether a helper's error is one to pass over when something is looked up. */
export function isPassedOver(error: unknown): error is CodedError {
  return (
    hasCode(error, "ERR_FAILED_PRECONDITION") ||
    hasCode(error, "ERR_INVALID_DATA") ||
    hasCode(error, "ERR_RESOURCE_EXHAUSTED")
  );
}
