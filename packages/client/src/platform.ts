import { CodedError } from "@varve/errors";
import { defaultPlatform, formatPlatform, normalizePlatform, parsePlatform } from "@varve/oci";
import type { Platform, PlatformMatcher } from "@varve/oci";

/** The platform a caller asks for, or this machine's. */
export function platformOf(asked: string | Platform | undefined): Platform {
  if (asked === undefined) return defaultPlatform();
  return typeof asked === "string" ? parsePlatform(asked) : normalizePlatform(asked);
}

/** Says that an image, which no index calls anything else, is for another platform than what was asked for. */
export function wrongPlatform(name: string, platform: Platform | undefined, wanted: PlatformMatcher): CodedError {
  const is = platform === undefined ? "no platform" : formatPlatform(platform);
  return new CodedError("ERR_NOT_FOUND", `image ${name}: is for ${is}, not for ${wanted.description}`);
}
