import { CodedError } from "@varve/errors";
import type { CredentialsCallback } from "./credentials.ts";
import { isHelperName } from "./helper-process.ts";
import { Helper, isPassedOver } from "./helper.ts";
import { normalKey } from "./keys.ts";
import type { CredentialsOptions } from "./open-credentials.ts";

/** How a single helper is run. */
export type HelperCredentialsOptions = Pick<CredentialsOptions, "environment" | "helperTimeout" | "onWarning">;

/**
 * Credentials from one helper, `docker-credential-NAME`, whatever the files say. One that is not installed, or fails, is told to
 * `onWarning`, and has none.
 *
 * @throws ERR_INVALID_ARGUMENT the name is none: helpers are looked for in `PATH` only
 */
export function helperCredentials(name: string, options: HelperCredentialsOptions = {}): CredentialsCallback {
  const { environment = process.env, helperTimeout: timeout = 30_000, onWarning = () => undefined } = options;
  if (!isHelperName(name)) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `credential helper ${JSON.stringify(name)}: not a name`);
  }
  const helper = new Helper(name, { environment, timeout, signal: undefined });
  return async (host) => {
    try {
      return await helper.get(normalKey(host));
    } catch (error) {
      if (!isPassedOver(error)) throw error;
      onWarning(error.message);
      return undefined;
    }
  };
}
