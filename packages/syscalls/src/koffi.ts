import { createRequire } from "node:module";

export type Koffi = typeof import("koffi");

/** Loads koffi at the first call and not at import, so that a program which never comes here needs no native code. */
export function loadKoffi(): Koffi {
  const koffi: Koffi = createRequire(import.meta.url)("koffi");
  return koffi;
}
