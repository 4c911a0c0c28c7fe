/** One way to authenticate that a server offers (RFC 9110, section 11.6.1). */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** By name in lower case; the first of a repeated name counts. */
  readonly parameters: ReadonlyMap<string, string>;
}

const separators = /[\s,]*/y;
const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const equals = /[ \t]*=[ \t]*/y;
const quotedString = /"((?:[^"\\]|\\.)*)"/sy;
// What follows `Negotiate`: base64 that is not a parameter. The look-ahead tells it from the next name.
const token68 = /[ \t]+[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y;
const rest = /[^,]*/y;

/**
 * Reads `WWW-Authenticate`: several header lines, several challenges in one line, quotes and commas inside values.
 * What is malformed is passed over; the challenges around it count.
 */
export function parseChallenges(header: string | readonly string[] | undefined): Challenge[] {
  const lines = header === undefined ? [] : typeof header === "string" ? [header] : header;
  return lines.flatMap(parseLine);
}

function parseLine(line: string): Challenge[] {
  const found: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(line);
    if (match !== null) at += match[0].length;
    return match;
  };
  for (take(separators); at < line.length; take(separators)) {
    const name = take(token)?.[0];
    if (name === undefined) {
      // Never an empty match: the separators in front were taken.
      take(rest);
      continue;
    }
    if (take(equals) === null) {
      found.push({ scheme: name.toLowerCase(), parameters: new Map() });
      take(token68);
      continue;
    }
    const quoted = take(quotedString);
    const value = quoted === null ? take(token)?.[0] : quoted[1]?.replaceAll(/\\(.)/gs, "$1");
    if (value === undefined) take(rest);
    else addParameter(found.at(-1)?.parameters, name.toLowerCase(), value);
  }
  return found;
}

function addParameter(parameters: Map<string, string> | undefined, name: string, value: string): void {
  if (parameters !== undefined && !parameters.has(name)) parameters.set(name, value);
}
