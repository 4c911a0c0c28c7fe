/** What proves who we are. Which form is right depends on where it comes from (docker `auths`, a credential helper). */
export type Credentials = (
  | { readonly username: string; readonly password: string }
  /** A refresh token: exchanged for access tokens at the registry's token server. */
  | { readonly identityToken: string }
  /** An access token: sent as it is, without asking a token server. */
  | { readonly registryToken: string }
) & {
  /** Where they were found, for messages: a file, a helper, a variable. Never anything secret. */
  readonly source?: string | undefined;
};

/**
 * Finds credentials for one repository; `undefined` means none, and the registry is asked anonymously.
 * `host` is as in references: `docker.io`, `localhost:5000`.
 */
export type CredentialsCallback = (host: string, repository: string) => Promise<Credentials | undefined>;
