import type { Credentials } from "@varve/credentials";

/** The texts by which these credentials could be found out, in each form in which they are sent. */
export function secretsIn(credentials: Credentials): string[] {
  const secrets =
    "identityToken" in credentials
      ? [credentials.identityToken]
      : "registryToken" in credentials
        ? [credentials.registryToken]
        : [credentials.password, basicHeader(credentials).slice("Basic ".length)];
  return secrets.flatMap((secret) => [...new Set([secret, ...encoded(secret)])]);
}

export function basicHeader(credentials: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`, "utf8").toString("base64")}`;
}

/** Where credentials came from, for messages. */
export function describeCredentials(credentials: Credentials | undefined, host: string): string {
  if (credentials === undefined) return "asked without credentials";
  const { source } = credentials;
  return source === undefined ? `asked with the credentials for ${host}` : `asked with the credentials from ${source}`;
}

function encoded(secret: string): string[] {
  const inForm = new URLSearchParams({ s: secret }).toString().slice("s=".length);
  return [inForm, encodeURIComponent(secret.toWellFormed()), JSON.stringify(secret).slice(1, -1)];
}
