export type { CredentialCallOptions, CredentialEntry, CredentialStore } from "./credential-store.ts";
export type { Credentials, CredentialsCallback } from "./credentials.ts";
export { helperCredentials } from "./helper-credentials.ts";
export type { HelperCredentialsOptions } from "./helper-credentials.ts";
export { openCredentials } from "./open-credentials.ts";
export type { CredentialsOptions } from "./open-credentials.ts";
