import { defaultPlatform, onlyPlatform, parsePlatform } from "@varve/oci";
import type { PlatformMatcher } from "@varve/oci";

/** What `--platform` asks for; without it, this machine's platform. */
export function platformMatcher(option: string | undefined): PlatformMatcher {
  return onlyPlatform(option === undefined ? defaultPlatform() : parsePlatform(option));
}

/** `undefined` for all that an index has, where that is what a command does without `--platform`. */
export function onePlatform(option: string | undefined): string | undefined {
  return option === "all" ? undefined : option;
}
