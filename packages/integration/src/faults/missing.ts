import { missingPrograms } from "@varve-tools/corpus";

/** Why faults cannot be made here; `undefined` if they can. */
export async function whyNoFaults(programs: readonly string[]): Promise<string | undefined> {
  if (process.geteuid?.() !== 0) return "needs root";
  const absent = await missingPrograms(programs);
  return absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`;
}
