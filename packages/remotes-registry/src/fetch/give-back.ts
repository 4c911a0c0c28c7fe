/**
 * Frees the memory of a chunk that a socket has filled and nobody looks at any more. Left to the collector, each 64 KiB of a large
 * blob counts as garbage outside of the heap, and every few hundred of them stop the thread for a whole collection.
 *
 * A chunk that has only a part of its memory shares it with others, and stays.
 */
export function giveBack({ buffer, byteLength }: Uint8Array): void {
  if (byteLength === 0 || byteLength !== buffer.byteLength || !(buffer instanceof ArrayBuffer)) return;
  buffer.transfer(0);
}
