const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "\u00b5s": 1e-3,
  "\u03bcs": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

const part = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;

/** Milliseconds of what Go prints as a duration (`1h30m`, https://pkg.go.dev/time#ParseDuration), `undefined` if it is none. */
export function durationOf(text: string): number | undefined {
  const sign = text.startsWith("-") ? -1 : 1;
  const rest = text.replace(/^[+-]/, "");
  if (rest === "0") return 0;
  if (rest === "") return undefined;
  let sum = 0;
  part.lastIndex = 0;
  while (part.lastIndex < rest.length) {
    const [, number, unit] = part.exec(rest) ?? [];
    if (number === undefined || unit === undefined) return undefined;
    sum += Number(number) * (units[unit] ?? 0);
  }
  return sign * sum;
}
