const quote = 0x22;
const backslash = 0x5c;
const percent = 0x25;

/**
 * Reads a `Warning` header as the distribution specification wants it: `299 - "text"`, nothing before, between or behind, and
 * the quoted text by the letter of RFC 9110 (section 5.6.4). `%xx` stands for the byte, as Go's registries write it.
 *
 * @returns `undefined` for every other form, code or agent
 */
export function parseWarning(header: string): string | undefined {
  const [, quoted] = /^299 - [ \t]*"(.*)"[ \t]*$/s.exec(header) ?? [];
  if (quoted === undefined) return undefined;
  // undici reads headers as Latin-1; what is beyond that was decoded by somebody else.
  const isBytes = !/[\u0100-\uffff]/.test(quoted);
  const text = unquoted(Buffer.from(quoted, isBytes ? "latin1" : "utf8"));
  return text === undefined ? undefined : decoded(text);
}

function unquoted(bytes: Buffer): Buffer | undefined {
  const out: number[] = [];
  for (let at = 0; at < bytes.length; at += 1) {
    let byte = bytes[at] ?? 0;
    if (byte === backslash) {
      at += 1;
      byte = bytes[at] ?? 0;
      // A pair may name any character that is not a control character.
      if (at >= bytes.length || !isText(byte)) return undefined;
    } else {
      const hex = byte === percent ? /^[0-9a-f]{2}$/i.exec(bytes.toString("latin1", at + 1, at + 3))?.[0] : undefined;
      if (hex !== undefined) {
        byte = Number.parseInt(hex, 16);
        at += 2;
      }
      // Neither may stand there bare, nor be smuggled in by its number.
      if (!isText(byte) || byte === quote || byte === backslash) return undefined;
    }
    out.push(byte);
  }
  return Buffer.from(out);
}

function isText(byte: number): boolean {
  return byte === 0x09 || (byte >= 0x20 && byte !== 0x7f);
}

function decoded(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return bytes.toString("latin1");
  }
}
