import { InvalidArgumentError } from "commander";

const milliseconds: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const form = /^(?:\d+(?:ms|[smhdw]))+$/;
/** A hundred years: whatever is added to it stays a date. */
const longest = 100 * 365 * 86_400_000;

/** Reads `30m`, `24h`, `7d`, `1h30m` or `0` as milliseconds. */
export function parseDuration(text: string): number {
  if (text === "0") return 0;
  if (!form.test(text)) throw new InvalidArgumentError("Not a duration such as 30m, 24h or 7d.");
  const parts = text.matchAll(/(\d+)(ms|[smhdw])/g);
  const total = [...parts].reduce((sum, [, count, unit = ""]) => sum + Number(count) * (milliseconds[unit] ?? 0), 0);
  if (total > longest) throw new InvalidArgumentError("Longer than a hundred years.");
  return total;
}

/** Reads how often something is done: from 100 ms to a day. */
export function parseInterval(text: string): number {
  const interval = parseDuration(text);
  if (interval < 100 || interval > 86_400_000) throw new InvalidArgumentError("Not from 100ms to 1d.");
  return interval;
}
