/** One of Docker Hub's `RateLimit` headers: so many pulls, in so many seconds. */
export interface RateLimit {
  readonly count: number;
  readonly windowSeconds: number | undefined;
}

/** Reads `100;w=21600`. */
export function parseRateLimit(header: string | undefined): RateLimit | undefined {
  const match = /^\s*(\d{1,9})\s*(?:$|;(?:.*;)?\s*w=(\d{1,9})\s*(?:$|;))/.exec(header?.slice(0, 200) ?? "");
  if (match === null) return undefined;
  return { count: Number(match[1]), windowSeconds: match[2] === undefined ? undefined : Number(match[2]) };
}
