import { CodedError } from "@varve/errors";
import { systemFields } from "./wire.ts";

/**
 * Puts the layer in front of an error that does not name it yet. The code stays, and of an error of the system all it carries.
 *
 * @param subject such as `layer sha256:…`
 */
export function namingLayer(error: unknown, subject: string): unknown {
  if (!(error instanceof Error) || error.message.startsWith(`${subject}: `)) return error;
  const message = `${subject}: ${error.message}`;
  const options = error.cause === undefined ? {} : { cause: error.cause };
  if (error instanceof CodedError) return new CodedError(error.code, message, options);
  const named = new Error(message, options);
  named.name = error.name;
  return Object.assign(named, systemFields(error));
}
