import { endianness } from "node:os";

const systems: Readonly<Record<string, string>> = { win32: "windows", sunos: "solaris", cygwin: "windows" };
const processors: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", mipsel: "mipsle" };

/** Go's name of the operating system this process runs on. */
export function hostOs(): string {
  return systems[process.platform] ?? process.platform;
}

/** Go's name of the processor this process was built for. */
export function hostArchitecture(): string {
  if (process.arch === "ppc64") return endianness() === "LE" ? "ppc64le" : "ppc64";
  return processors[process.arch] ?? process.arch;
}

/** The arm version this process was built for: a lower bound of what the processor can do. */
export function hostArmVariant(): string | undefined {
  const variables: unknown = process.config.variables;
  if (typeof variables !== "object" || variables === null || !("arm_version" in variables)) return undefined;
  const version = String(variables.arm_version);
  return /^[5-8]$/.test(version) ? `v${version}` : undefined;
}
