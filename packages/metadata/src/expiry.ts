import { CodedError } from "@varve/errors";

// https://www.rfc-editor.org/rfc/rfc3339#section-5.6
const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/i;

/** The time that a label says, `undefined` if it says none. */
export function timeOf(text: string): Date | undefined {
  const time = rfc3339.test(text) ? new Date(text) : undefined;
  return time === undefined || Number.isNaN(time.getTime()) ? undefined : time;
}

/** @throws ERR_INVALID_ARGUMENT `text` is no time as RFC 3339 has it */
export function expiryOf(subject: string, label: string, text: string): Date {
  const time = timeOf(text);
  if (time === undefined) {
    throw new CodedError(
      "ERR_INVALID_ARGUMENT",
      `${subject}: label ${label}: ${JSON.stringify(text)} is no RFC 3339 time`,
    );
  }
  return time;
}
