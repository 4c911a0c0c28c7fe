/** What every bench can be told. */
export interface BenchOptions {
  /** How many rounds. */
  readonly runs?: number | undefined;
  /** What to measure: names that hold one of these texts. Default: everything. */
  readonly only?: readonly string[] | undefined;
}

export function isWanted(name: string, only: BenchOptions["only"]): boolean {
  return only === undefined || only.some((text) => name.includes(text));
}
