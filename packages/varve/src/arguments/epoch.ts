import { InvalidArgumentError } from "commander";

/** The last second that a date has. */
const latest = 8_640_000_000_000;

/** Reads seconds since 1970, as in SOURCE_DATE_EPOCH (reproducible-builds.org). */
export function parseEpoch(text: string): number {
  const seconds = /^\d{1,13}$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds <= latest)) throw new InvalidArgumentError("Not a number of seconds since 1970.");
  return seconds;
}
