/** The part that a 206 says it is: from `start` to `end`, inclusive, of `total` bytes (`*`: undefined). */
export interface ContentRange {
  readonly start: number;
  readonly end: number;
  readonly total: number | undefined;
}

/** Reads `Content-Range` of a 206; `undefined` if it is no single byte range (RFC 9110, section 14.4). */
export function parseContentRange(header: string | undefined): ContentRange | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(header?.trim() ?? "");
  if (match === null) return undefined;
  const [start, end] = [Number(match[1]), Number(match[2])];
  const total = match[3] === "*" ? undefined : Number(match[3]);
  return start > end || (total !== undefined && end >= total) ? undefined : { start, end, total };
}

/** The size that a 416 tells: an asterisk, a slash, and the bytes there are. */
export function parseUnsatisfied(header: string | undefined): number | undefined {
  const match = /^bytes \*\/(\d{1,15})$/.exec(header?.trim() ?? "");
  return match === null ? undefined : Number(match[1]);
}
