import type { AccessAction, Authenticate } from "./authenticate.ts";
import type { Call } from "./call.ts";
import { ProtocolError } from "./protocol-error.ts";

/** Asks whoever decides what clients may do. */
export class Access {
  readonly #authenticate: Authenticate | undefined;

  constructor(authenticate: Authenticate | undefined) {
    this.#authenticate = authenticate;
  }

  /** Whether everybody may do everything. */
  get isOpen(): boolean {
    return this.#authenticate === undefined;
  }

  async allows(call: Call, repository: string, action: AccessAction): Promise<boolean> {
    return (await this.#refusal(call, repository, action)) === undefined;
  }

  /** @throws ProtocolError UNAUTHORIZED with a challenge, or DENIED */
  async require(call: Call, repository: string | undefined, action: AccessAction): Promise<void> {
    const refusal = await this.#refusal(call, repository, action);
    if (refusal !== undefined) throw refusal;
  }

  /**
   * Those of the names of one repository that may be read.
   *
   * @throws ProtocolError as for the first of them, if there are none
   */
  async readable(call: Call, names: readonly string[]): Promise<readonly string[]> {
    const allowed: string[] = [];
    let first: ProtocolError | undefined;
    for (const name of names) {
      const refusal = await this.#refusal(call, name, "pull");
      if (refusal === undefined) allowed.push(name);
      first ??= refusal;
    }
    if (allowed.length === 0 && first !== undefined) throw first;
    return allowed;
  }

  async #refusal(call: Call, repository: string | undefined, action: AccessAction): Promise<ProtocolError | undefined> {
    if (this.#authenticate === undefined) return undefined;
    const verdict = await this.#authenticate({ authorization: call.header("authorization"), repository, action });
    if (verdict === "allow") return undefined;
    if (verdict === "deny") return new ProtocolError("DENIED", "requested access to the resource is denied");
    const headers = { "www-authenticate": verdict.challenge };
    return new ProtocolError("UNAUTHORIZED", "authentication required", headers);
  }
}
