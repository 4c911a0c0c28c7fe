/** Every case as often as it was ever thought worth it, instead of as often as every run can afford: `npm run integration:thorough`. */
export const thorough: boolean = process.env["VARVE_THOROUGH"] === "1";

/** How often a test repeats what it does: `full` times when thorough, else `usual` times. */
export function rounds(full: number, usual: number): number {
  return thorough ? full : usual;
}

/** All of the cases when thorough; else the first, every n-th after it, and the last. */
export function everyNth<T>(cases: readonly T[], n: number): readonly T[] {
  if (thorough) return cases;
  return cases.filter((_, index) => index % n === 0 || index === cases.length - 1);
}
