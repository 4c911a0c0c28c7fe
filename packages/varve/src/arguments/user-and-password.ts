import { UsageError } from "../exit-code.ts";

/** Reads `USER:PASSWORD`. Passwords may hold colons, users cannot. */
export function parseUserAndPassword(
  text: string,
  option: string,
): { readonly username: string; readonly password: string } {
  const colon = text.indexOf(":");
  // The text may be a secret: it is not repeated.
  if (colon < 1) throw new UsageError(`${option}: not USER:PASSWORD`);
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}
