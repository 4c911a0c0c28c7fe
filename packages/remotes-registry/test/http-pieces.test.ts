import { array, assert, property, uint8Array } from "fast-check";
import { describe, expect, test } from "vitest";
// How much memory bytes take cannot be seen from outside.
import { WaitingBytes } from "../src/fetch/waiting-bytes.ts";
import { GatheredBytes } from "../src/http/gathered-bytes.ts";

const chunks = array(uint8Array({ maxLength: 9000, size: "max" }), { maxLength: 60 });

// 3 "Bounded": a server chooses how small the pieces of a body are
describe("bytes that come in pieces", () => {
  test("are gathered whole, whatever their pieces", () => {
    assert(
      property(chunks, (pieces) => {
        const gathered = new GatheredBytes();
        for (const piece of pieces) gathered.add(piece);
        expect(gathered.whole().equals(Buffer.concat(pieces))).toBe(true);
      }),
      { numRuns: 30, endOnFailure: true },
    );
  });

  test("are gathered as copies, so that no piece is kept", () => {
    const gathered = new GatheredBytes();
    const piece = Uint8Array.of(0);
    for (let value = 0; value < 100_000; value += 1) {
      piece[0] = value % 256;
      gathered.add(piece);
    }
    expect(gathered.size).toBe(100_000);
    expect(gathered.whole()[99_999]).toBe(99_999 % 256);
    expect(gathered.whole().buffer.byteLength).toBeLessThanOrEqual(2 * 100_000);
  });

  test("wait in their order, also while some are taken", () => {
    assert(
      property(chunks, (pieces) => {
        const waiting = new WaitingBytes();
        const taken: Uint8Array[] = [];
        for (const [index, piece] of pieces.entries()) {
          waiting.push(piece);
          if (index % 7 === 3) taken.push(waiting.shift() ?? Buffer.alloc(0));
        }
        while (waiting.length > 0) taken.push(waiting.shift() ?? Buffer.alloc(0));
        expect(Buffer.concat(taken).equals(Buffer.concat(pieces))).toBe(true);
        expect(waiting.shift()).toBeUndefined();
      }),
      { numRuns: 30, endOnFailure: true },
    );
  });

  test("wait as few pieces, in not much more room than they need", () => {
    const waiting = new WaitingBytes();
    for (let index = 0; index < 300_000; index += 1) waiting.push(Uint8Array.of(index % 251));
    expect(waiting.length).toBeLessThan(10);
    const mixed = new WaitingBytes();
    for (let index = 0; index < 50; index += 1) {
      mixed.push(new Uint8Array(5000));
      mixed.push(Uint8Array.of(1));
    }
    let [bytes, room] = [0, 0];
    for (let piece = mixed.shift(); piece !== undefined; piece = mixed.shift()) {
      bytes += piece.byteLength;
      room += piece.buffer.byteLength;
    }
    expect(bytes).toBe(50 * 5001);
    expect(room).toBeLessThan(2 * bytes);
  });
});
