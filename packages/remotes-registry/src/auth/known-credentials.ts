import type { Credentials, CredentialsCallback } from "@varve/credentials";
import { RecentMap } from "../hosts/recent-map.ts";
import { secretsIn } from "./credential-secrets.ts";

interface Known {
  readonly found: Promise<Credentials | undefined>;
  readonly askedAt: number;
}

const maxRepositories = 1000;
const maxSecrets = 256;
// Whoever keeps them may have a helper, or a person, to ask: not on each of a hundred refusals in a row.
const minAge = 10_000;

/** The credentials for one host's repositories, each asked for once, and again when they are old and refused. */
export class KnownCredentials {
  readonly #host: string;
  readonly #ask: CredentialsCallback;
  readonly #known = new RecentMap<string, Known>(maxRepositories);
  readonly #secrets = new RecentMap<string, true>(maxSecrets);

  constructor(host: string, ask: CredentialsCallback) {
    this.#host = host;
    this.#ask = ask;
  }

  for(repository: string): Promise<Credentials | undefined> {
    return this.#known.get(repository)?.found ?? this.#askFor(repository);
  }

  /**
   * Those that take the place of refused ones: passwords of cloud registries end after hours, and people log in anew.
   *
   * @returns `undefined` if there are no others
   */
  async insteadOf(refused: Credentials | undefined, repository: string): Promise<Credentials | undefined> {
    const known = this.#known.get(repository);
    const current = await known?.found;
    // Somebody else has asked again meanwhile.
    if (known !== undefined && current !== refused) return differs(current, refused) ? current : undefined;
    if (known !== undefined && Date.now() - known.askedAt < minAge) return undefined;
    const fresh = await this.#askFor(repository);
    return differs(fresh, refused) ? fresh : undefined;
  }

  /** What must not appear in messages: of these credentials, and of those that took their place. */
  secrets(): readonly string[] {
    return this.#secrets.entries().map(([secret]) => secret);
  }

  noteSecrets(credentials: Credentials | undefined): void {
    if (credentials === undefined) return;
    for (const secret of secretsIn(credentials)) this.#secrets.set(secret, true);
  }

  #askFor(repository: string): Promise<Credentials | undefined> {
    const found = this.#ask(this.#host, repository);
    this.#known.set(repository, { found, askedAt: Date.now() });
    const drop = (): void => {
      if (this.#known.get(repository)?.found === found) this.#known.delete(repository);
    };
    found.then((credentials) => this.noteSecrets(credentials), drop);
    return found;
  }
}

function differs(one: Credentials | undefined, other: Credentials | undefined): boolean {
  const [a, b] = [one, other].map((credentials) =>
    JSON.stringify(credentials === undefined ? [] : secretsIn(credentials)),
  );
  return a !== b;
}
