import type { CredentialStore } from "./credential-store.ts";
import { placesFrom } from "./places.ts";
import { PlacesStore } from "./places-store.ts";

export interface CredentialsOptions {
  /** The one file to use, as `--authfile` gives it. Default: those of the environment, in podman's order (see the README). */
  readonly file?: string | undefined;
  /** Default: `process.env`. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** Milliseconds until a credential helper must have answered. Default: 30,000. */
  readonly helperTimeout?: number | undefined;
  /** Told what is wrong and was passed over. It must not throw. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Opens the places where docker and podman keep credentials. Reads nothing yet. */
export function openCredentials(options: CredentialsOptions = {}): CredentialStore {
  const { environment = process.env, helperTimeout = 30_000, onWarning = () => undefined } = options;
  return new PlacesStore(placesFrom(options), { environment, helperTimeout, onWarning });
}
