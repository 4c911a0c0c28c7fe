export { createLinuxMounter } from "./linux-mounter.ts";
export type { LinuxMounterOptions } from "./linux-mounter.ts";
