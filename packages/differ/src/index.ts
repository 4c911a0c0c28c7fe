export { createDiffer } from "./differ.ts";
export type { Differ, DifferOptions } from "./differ.ts";
