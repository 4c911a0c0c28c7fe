import { defaultPlatform, onlyPlatform, parsePlatform } from "@varve/oci";
import type { PlatformMatcher } from "@varve/oci";

/** What `--platform` asks for; without it, this machine's platform. */
export function platformMatcher(option: string | undefined): PlatformMatcher {
  return onlyPlatform(option === undefined ? defaultPlatform() : parsePlatform(option));
}
