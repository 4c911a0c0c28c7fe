import type { DifferLimits } from "@varve/client";
import { InvalidArgumentError } from "commander";
import { parseCount } from "./count.ts";

const names: Readonly<Record<keyof DifferLimits, true>> = {
  entries: true,
  bytes: true,
  pathBytes: true,
  depth: true,
  directories: true,
  mergedFiles: true,
  headerBytes: true,
  xattrs: true,
  maxBytes: true,
  maxRatio: true,
  maxWindow: true,
};

/** What the limits of one layer are called. */
export const limitNames: readonly string[] = Object.keys(names);

/** Collects limits, `name=value`. Of two with one name the last one counts. */
export function collectLimit(text: string, earlier: DifferLimits = {}): DifferLimits {
  const equals = text.indexOf("=");
  const name = text.slice(0, Math.max(0, equals));
  if (!Object.hasOwn(names, name))
    throw new InvalidArgumentError(`Not NAME=VALUE with one of ${limitNames.join(", ")}.`);
  const value = parseCount(text.slice(equals + 1));
  if (value === undefined) throw new InvalidArgumentError("Not a number such as 5000, 5k or 10GB.");
  return { ...earlier, [name]: value };
}
