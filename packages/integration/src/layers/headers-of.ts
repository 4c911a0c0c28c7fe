const blockBytes = 512;

/**
 * The headers of an archive without the content of files, which are all empty then: most of what can go wrong, in little space.
 * Extended headers keep theirs.
 */
export function headersOf(tar: Buffer): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at + blockBytes <= tar.length;) {
    const header = Buffer.from(tar.subarray(at, at + blockBytes));
    const size = Number.parseInt(header.toString("latin1", 124, 136), 8) || 0;
    const padded = Math.ceil(size / blockBytes) * blockBytes;
    const isExtended = "xgLK".includes(String.fromCodePoint(header[156] ?? 0)) && header[156] !== 0;
    if (header[0] !== 0) {
      if (!isExtended) header.write("00000000000\0", 124, "latin1");
      blocks.push(sign(header));
      if (isExtended) blocks.push(tar.subarray(at + blockBytes, at + blockBytes + padded));
    }
    at += blockBytes + padded;
  }
  return Buffer.concat(blocks);
}

/** Puts the right checksum into a header block. */
export function sign(block: Buffer): Buffer {
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (let at = 0; at < blockBytes; at += 1) sum += block[at] ?? 0;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}
