import { InvalidArgumentError } from "commander";

const factors: Readonly<Record<string, number>> = { "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };

/** Reads `5000`, `5k` or `10GB`, by powers of 1000 as sizes are printed; `undefined` if it is something else. */
export function parseCount(text: string): number | undefined {
  const [, digits, unit = ""] = /^(\d{1,15})([kMGT]?)B?$/.exec(text) ?? [];
  const count = Number(digits) * (factors[unit] ?? 1);
  return Number.isSafeInteger(count) ? count : undefined;
}

/** Reads a whole number, such as a level. */
export function parseLevel(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError("Not a whole number.");
  return Number(text);
}

/** Reads how many at a time: 1 to 999. */
export function parsePositive(text: string): number {
  const value = parseLevel(text);
  if (value === 0) throw new InvalidArgumentError("Not a number from 1 on.");
  return value;
}

/** Reads a number of bytes from 1 on. */
export function parseBytes(text: string): number {
  const value = parseCount(text);
  if (value === undefined || value === 0) throw new InvalidArgumentError("Not a number of bytes such as 5M.");
  return value;
}
