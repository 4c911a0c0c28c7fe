import { formatPlatform, normalizePlatform } from "./platform.ts";
import type { Platform } from "./platform.ts";
import { compareVersions, windowsVersionMatches } from "./windows-version.ts";

/** Says which platforms will do, and which of them is better. */
export interface PlatformMatcher {
  /** For messages: what is wanted, best first. */
  readonly description: string;
  matches(platform: Platform): boolean;
  /** Negative if `a` is the better one, positive if `b` is, 0 if it makes no difference; what does not match is last. */
  compare(a: Platform, b: Platform): number;
}

/** Matches everything and prefers nothing. */
export const allPlatforms: PlatformMatcher = {
  description: "any platform",
  matches: () => true,
  compare: () => 0,
};

/**
 * Matches what runs on `platform`, the closest first, by containerd's rules (`platforms.Only`): amd64/v3 also takes v2,
 * v1 and 386; arm/v7 also v6 and v5; arm64/v9.1 also v9, v8.6 down to v8, and then 32-bit arm; Windows by build number.
 */
export function onlyPlatform(platform: Platform): PlatformMatcher {
  const wanted = normalizePlatform(platform);
  return matcherOf(fallbacks(wanted), formatPlatform(wanted));
}

/** Matches `platform` and nothing older or smaller, in any spelling. */
export function strictPlatform(platform: Platform): PlatformMatcher {
  return orderedPlatforms([platform]);
}

/** Matches any of `platforms`, each strictly, the first ones first. */
export function orderedPlatforms(platforms: readonly Platform[]): PlatformMatcher {
  const wanted = platforms.map(normalizePlatform);
  return matcherOf(wanted, wanted.map(formatPlatform).join(", ") || "no platform");
}

function matcherOf(wanted: readonly Platform[], description: string): PlatformMatcher {
  const rank = (platform: Platform): number => {
    const candidate = normalizePlatform(platform);
    const found = wanted.findIndex((one) => fits(one, candidate));
    return found < 0 ? wanted.length : found;
  };
  return {
    description,
    matches: (platform) => rank(platform) < wanted.length,
    compare(a, b) {
      const byRank = rank(a) - rank(b);
      if (byRank !== 0 || rank(a) === wanted.length) return byRank;
      // Of two Windows builds that both run, the newer is the closer one.
      return -compareVersions(a["os.version"] ?? "", b["os.version"] ?? "");
    },
  };
}

function fits(wanted: Platform, candidate: Platform): boolean {
  return (
    wanted.os === candidate.os &&
    wanted.architecture === candidate.architecture &&
    wanted.variant === candidate.variant &&
    (wanted.os !== "windows" || windowsVersionMatches(wanted["os.version"] ?? "", candidate["os.version"] ?? "")) &&
    (candidate["os.features"] ?? []).every((feature) => wanted["os.features"]?.includes(feature) === true)
  );
}

function fallbacks(wanted: Platform): Platform[] {
  const on = (architecture: string, variant = ""): Platform => normalizePlatform({ ...wanted, architecture, variant });
  switch (wanted.architecture) {
    case "amd64":
      return [wanted, ...versionsBelow(wanted.variant, 1).map((version) => on("amd64", version)), on("386")];
    case "arm":
      return [wanted, ...versionsBelow(wanted.variant, 5).map((version) => on("arm", version))];
    case "arm64":
      return [
        wanted,
        ...arm64Below(wanted.variant ?? "v8").map((version) => on("arm64", version)),
        ...["v8", "v7", "v6", "v5"].map((version) => on("arm", version)),
      ];
    default:
      return [wanted];
  }
}

/** `v4` and 1 give v3, v2, v1. One digit only: the list must stay short whatever is asked for. */
function versionsBelow(variant: string | undefined, least: number): string[] {
  const top = /^v([0-9])$/.exec(variant ?? "")?.[1];
  const versions: string[] = [];
  for (let version = Number(top ?? 0) - 1; version >= least; version -= 1) versions.push(`v${version}`);
  return versions;
}

function arm64Below(variant: string): string[] {
  const [, major, minor = "0"] = /^v([89])(?:\.([0-9]))?$/.exec(variant) ?? [];
  if (major === undefined) return [];
  const below = minors(major, Number(minor) - 1);
  // ARMv9.0 grew out of v8.5, so v9.x can do what v8.(x+5) can.
  return major === "9" ? [...below, ...minors("8", Number(minor) + 5)] : below;
}

function minors(major: string, top: number): string[] {
  const versions: string[] = [];
  for (let minor = top; minor >= 0; minor -= 1) versions.push(minor === 0 ? `v${major}` : `v${major}.${minor}`);
  return versions;
}
