import { gzipSync } from "node:zlib";
import { openIsalInflate } from "@varve/syscalls";
import type { IsalInflate } from "@varve/syscalls";
import { describe, expect, test } from "vitest";

const probe = openIsalInflate();
probe?.close();
const why = probe === undefined ? " (skipped: no libisal.so.2 for this machine)" : "";

const text = Buffer.from(Array.from({ length: 5000 }, (_, index) => `${(index * 7919) % 10_007} varve`).join(" "));
/** Without the ten bytes of header that node:zlib writes. */
const packed = gzipSync(text).subarray(10);

function open(): IsalInflate {
  const inflate = openIsalInflate();
  if (inflate === undefined) throw new Error("libisal.so.2 is gone");
  return inflate;
}

/** Runs to the end of the stream; tells what came out and how much of the input was used. */
function run(inflate: IsalInflate, input: Uint8Array, inputSize: number, output: Uint8Array): [Buffer, number] {
  const blocks: Buffer[] = [];
  let at = 0;
  for (let done = false; !done;) {
    const step = inflate.step(input.subarray(at, at + inputSize), output);
    if (step.taken === 0 && step.written === 0 && !step.done) throw new Error("stuck");
    blocks.push(Buffer.from(output.subarray(0, step.written)));
    at += step.taken;
    done = step.done;
  }
  return [Buffer.concat(blocks), at];
}

describe.skipIf(probe === undefined)(`inflate by ISA-L${why}`, () => {
  test.each([
    [1, 100_000],
    [100_000, 3],
    [13, 4096],
    [5000, 4097],
    [1_000_000, 1_000_000],
  ])("gives the same for steps of %i bytes in and %i out, and stops where the stream ends", (inputSize, outputSize) => {
    const inflate = open();
    const more = Buffer.concat([packed, Buffer.from("more")]);
    for (let turn = 0; turn < 2; turn += 1) {
      const [plain, used] = run(inflate, more, inputSize, new Uint8Array(outputSize));
      expect(plain.equals(text)).toBe(true);
      expect(used).toBe(packed.length);
      inflate.reset();
    }
    inflate.close();
  });

  test.each([10, 5000])("writes only into the %i bytes it was given, of shared memory too", (size) => {
    const shared = new Uint8Array(new SharedArrayBuffer(size + 200)).fill(0xee);
    const inflate = open();
    for (let step = inflate.step(packed, shared.subarray(100, 100 + size)), at = 0; !step.done;) {
      at += step.taken;
      step = inflate.step(packed.subarray(at), shared.subarray(100, 100 + size));
      expect(shared.subarray(0, 100).every((byte) => byte === 0xee)).toBe(true);
      expect(shared.subarray(100 + size).every((byte) => byte === 0xee)).toBe(true);
    }
    inflate.close();
  });

  test("refuses every wrong bit of checksum and length", () => {
    for (let bit = 0; bit < 64; bit += 1) {
      const wrong = Buffer.from(packed);
      const place = wrong.length - 8 + (bit >> 3);
      wrong[place] = (wrong[place] ?? 0) ^ (1 << (bit & 7));
      expect(() => run(open(), wrong, 1_000_000, new Uint8Array(1_000_000))).toThrow("incorrect data check");
    }
  });

  test("refuses what is no deflate, and a distance before the start", () => {
    const output = new Uint8Array(10_000);
    expect(() => open().step(Uint8Array.from([7, 0, 0]), output)).toThrow("invalid block");
    // Fixed codes: a copy of three bytes from one byte back, where nothing is.
    expect(() => open().step(Uint8Array.from([3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), output)).toThrow(
      "invalid distance",
    );
  });

  test("is of no use when it was closed", () => {
    const inflate = open();
    inflate.close();
    inflate.close();
    expect(() => inflate.step(packed, new Uint8Array(10))).toThrow("the decompressor is closed");
    expect(() => inflate.reset()).toThrow("the decompressor is closed");
  });
});
