import { CodedError } from "@varve/errors";
import { hostArchitecture, hostArmVariant, hostOs } from "./host.ts";

/** What an image runs on, with the field names of the OCI image specification (Go's names for systems and processors). */
export interface Platform {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string | undefined;
  readonly "os.version"?: string | undefined;
  readonly "os.features"?: readonly string[] | undefined;
}

// The lists of go/build/syslist.go, against which containerd decides what a single word means.
const knownOs: ReadonlySet<string> = new Set(
  "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos".split(
    " ",
  ),
);
const knownArchitectures: ReadonlySet<string> = new Set(
  (
    "386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le " +
    "ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm"
  ).split(" "),
);

// os, or os(version), os(+feature), os(version+feature+feature)
const osForm = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$/;
const partForm = /^[A-Za-z0-9_.-]+$/;

/**
 * Reads `os/arch`, `os/arch/variant`, or one word, which is an operating system or a processor; the other half is then
 * the host's. A version may follow the system: `windows(10.0.17763)/amd64`. The result is normalised.
 *
 * @throws ERR_INVALID_ARGUMENT not of that form, or one word that is neither
 */
export function parsePlatform(text: string): Platform {
  const [first = "", ...rest] = text.split("/", 4);
  const system = osForm.exec(first);
  if (system === null || rest.length > 2 || rest.some((part) => !partForm.test(part))) {
    throw invalid(text, "not of the form os/arch or os/arch/variant");
  }
  const options = osOptions(text, system[2] ?? "", system[3] ?? "");
  const os = normalizeOs(system[1] ?? "");
  const [architecture, variant] = rest;
  if (architecture !== undefined) return normalizePlatform({ os, architecture, variant, ...options });
  if (knownOs.has(os)) {
    const host = hostArchitecture();
    return normalizePlatform({ os, architecture: host, variant: hostVariant(host), ...options });
  }
  const alone = normalizePlatform({ os: hostOs(), architecture: first });
  if (knownArchitectures.has(alone.architecture)) return alone;
  throw invalid(text, "neither an operating system nor a processor that is known");
}

/**
 * The same platform in one spelling, as containerd has it: lower case; x86_64 is amd64, aarch64 is arm64, armhf is
 * arm/v7, armel is arm/v6, macos is darwin; arm without a variant is v7; the variants that add nothing (amd64/v1,
 * arm64/v8) are left out. An empty operating system is the host's.
 */
export function normalizePlatform(platform: Platform): Platform {
  const [architecture, variant] = normalizeArchitecture(
    platform.architecture.toLowerCase(),
    (platform.variant ?? "").toLowerCase(),
  );
  const version = platform["os.version"] ?? "";
  const features = [...new Set(platform["os.features"])].toSorted();
  return {
    os: normalizeOs(platform.os),
    architecture,
    ...(variant === "" ? {} : { variant }),
    ...(version === "" ? {} : { "os.version": version }),
    ...(features.length === 0 ? {} : { "os.features": features }),
  };
}

/** Prints a platform so that `parsePlatform` reads it back: `linux/arm/v7`, `windows(10.0.17763)/amd64`; without a system `unknown`. */
export function formatPlatform(platform: Platform): string {
  if (platform.os === "") return "unknown";
  const version = encodeOption(platform["os.version"] ?? "");
  const features = (platform["os.features"] ?? []).toSorted().map((feature) => `+${encodeOption(feature)}`);
  const options = version + features.join("");
  const os = options === "" ? platform.os : `${platform.os}(${options})`;
  return [os, platform.architecture, platform.variant ?? ""].filter((part) => part !== "").join("/");
}

/**
 * The platform of this process. The baseline of the processor family: amd64 without a variant even on newer
 * processors, so what is chosen does not depend on the machine a pull happens on.
 */
export function defaultPlatform(): Platform {
  const architecture = hostArchitecture();
  return normalizePlatform({ os: hostOs(), architecture, variant: hostVariant(architecture) });
}

function hostVariant(architecture: string): string | undefined {
  return architecture === "arm" ? hostArmVariant() : undefined;
}

function normalizeOs(os: string): string {
  const lower = os.toLowerCase();
  if (lower === "") return hostOs();
  return lower === "macos" ? "darwin" : lower;
}

function normalizeArchitecture(architecture: string, variant: string): [string, string] {
  switch (architecture) {
    case "i386":
      return ["386", ""];
    case "x86_64":
    case "x86-64":
    case "amd64":
      return ["amd64", variant === "v1" ? "" : variant];
    case "aarch64":
    case "arm64":
      return ["arm64", variant === "8" || variant === "v8" ? "" : variant];
    case "armhf":
      return ["arm", "v7"];
    case "armel":
      return ["arm", "v6"];
    case "arm":
      if (variant === "") return ["arm", "v7"];
      return ["arm", /^[5-8]$/.test(variant) ? `v${variant}` : variant];
    default:
      return [architecture, variant];
  }
}

function osOptions(text: string, version: string, features: string): Partial<Platform> {
  const names = features === "" ? [] : features.slice(1).split("+");
  return {
    ...(version === "" ? {} : { "os.version": decodeOption(text, version) }),
    ...(names.length === 0 ? {} : { "os.features": names.map((name) => decodeOption(text, name)) }),
  };
}

function encodeOption(value: string): string {
  return value.replaceAll(/[%+()/]/g, (char) => encodeURIComponent(char).replace("(", "%28").replace(")", "%29"));
}

function decodeOption(text: string, value: string): string {
  try {
    return decodeURIComponent(value);
  } catch (cause) {
    throw invalid(text, `${value}: not a percent-encoded text`, { cause });
  }
}

function invalid(text: string, why: string, options?: ErrorOptions): CodedError {
  return new CodedError("ERR_INVALID_ARGUMENT", `platform ${JSON.stringify(text.slice(0, 128))}: ${why}`, options);
}
