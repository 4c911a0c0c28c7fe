import { thorough } from "../rounds.ts";

const usualSeed = 1;

/** Numbers from 0 to below 1 that are the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * The seed that `VARVE_SEED` asks for; else always the same one, so that a change is not judged by another's luck, or a new one when
 * thorough.
 */
export function chooseSeed(): number {
  const asked = Number(process.env["VARVE_SEED"]);
  if (Number.isSafeInteger(asked) && asked > 0) return asked;
  return thorough ? Math.floor(Math.random() * 2 ** 31) : usualSeed;
}
