import { parseReference } from "@varve/reference";

/** The registry of a reference, by the name that credentials are kept under. */
export function hostOf(reference: string): string {
  return parseReference(reference).domain;
}
