import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";

/** A way in which a power cut, or a bad disk, leaves a file. */
export interface Tear {
  readonly name: string;
  apply(path: string): void;
}

/** Files that end too early. */
export const cuts: readonly Tear[] = [
  cut("all of it cut off", () => 0),
  cut("cut after the first byte", () => 1),
  cut("cut in the middle", (size) => Math.floor(size / 2)),
  cut("cut by one byte", (size) => size - 1),
];

/** The end of a file, by sectors and pages. */
export const lostEnds: readonly Tear[] = [512, 4096].flatMap((bytes) => [
  cut(`the last ${bytes} bytes cut off`, (size) => Math.max(0, size - bytes)),
  zero(`the last ${bytes} bytes zeroed`, bytes),
]);

export const zeroed: Tear = zero("all of it zeroed", Number.MAX_SAFE_INTEGER);

function cut(name: string, sizeOf: (size: number) => number): Tear {
  return { name, apply: (path) => withFile(path, (file, size) => ftruncateSync(file, sizeOf(size))) };
}

function zero(name: string, bytes: number): Tear {
  return {
    name,
    apply: (path) =>
      withFile(path, (file, size) => {
        const length = Math.min(bytes, size);
        writeSync(file, Buffer.alloc(length), 0, length, size - length);
      }),
  };
}

function withFile(path: string, use: (file: number, size: number) => void): void {
  const file = openSync(path, "r+");
  try {
    use(file, fstatSync(file).size);
  } finally {
    closeSync(file);
  }
}
