import { CodedError } from "@varve/errors";

/** How deep lists and objects may stand in each other; images use about six levels. */
const maxDepth = 128;
// Far beyond any image, and enough to keep the parser from seconds of work and hundreds of megabytes.
const maxNames = 10_000;
const maxBrackets = 200_000;

/**
 * Reads JSON that must have one meaning only: UTF-8, no byte order mark, no name twice in an object. Refuses what is
 * nested deeply or split into very many parts.
 */
export function parseJson(source: Uint8Array | string, subject: string, maxSize: number): unknown {
  const size = typeof source === "string" ? Buffer.byteLength(source) : source.byteLength;
  if (size > maxSize) {
    throw new CodedError("ERR_RESOURCE_EXHAUSTED", `${subject}: ${size} bytes, the limit is ${maxSize}`);
  }
  const text = typeof source === "string" ? source : decode(source, subject);
  checkNesting(text, subject);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new CodedError("ERR_INVALID_DATA", `${subject}: not JSON`, { cause });
  }
}

function decode(bytes: Uint8Array, subject: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new CodedError("ERR_INVALID_DATA", `${subject}: not UTF-8`, { cause });
  }
}

/**
 * Go merges an object that stands twice under one name, JavaScript takes the last: such a document has two meanings.
 * Works on text that need not be JSON; what is not is left for JSON.parse to refuse.
 */
function checkNesting(text: string, subject: string): void {
  // For each open bracket: the names seen, or undefined in a list.
  const open: (Set<string> | undefined)[] = [];
  let brackets = 0;
  let nameIsNext = false;
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index];
    if (char === "{" || char === "[") {
      brackets += 1;
      if (brackets > maxBrackets) throw tooMany(subject, `${maxBrackets} lists and objects`);
      if (open.length === maxDepth) throw tooMany(subject, `${maxDepth} levels of nesting`);
      open.push(char === "{" ? new Set() : undefined);
      nameIsNext = char === "{";
    } else if (char === "}" || char === "]") {
      open.pop();
      nameIsNext = false;
    } else if (char === ",") {
      nameIsNext = open.at(-1) !== undefined;
    } else if (char === '"') {
      const end = endOfString(text, index);
      const names = open.at(-1);
      if (nameIsNext && names !== undefined) addName(names, text.slice(index, end + 1), subject);
      nameIsNext = false;
      index = end;
    }
  }
}

function addName(names: Set<string>, quoted: string, subject: string): void {
  const name = unescape(quoted);
  if (names.has(name)) {
    throw new CodedError("ERR_INVALID_DATA", `${subject}: ${quoted.slice(0, 80)} stands twice in one object`);
  }
  if (names.size === maxNames) throw tooMany(subject, `${maxNames} names in one object`);
  names.add(name);
}

function tooMany(subject: string, limit: string): CodedError {
  return new CodedError("ERR_INVALID_DATA", `${subject}: more than ${limit}`);
}

function unescape(quoted: string): string {
  if (!quoted.includes("\\")) return quoted;
  try {
    return JSON.stringify(JSON.parse(quoted));
  } catch {
    // Not JSON, as the parser will say.
    return quoted;
  }
}

function endOfString(text: string, start: number): number {
  let index = start + 1;
  while (index < text.length && text[index] !== '"') index += text[index] === "\\" ? 2 : 1;
  return index;
}
