import { Option } from "commander";
import type { Command } from "commander";
import { parseLevel, parsePositive } from "../arguments/count.ts";
import { parseEpoch } from "../arguments/epoch.ts";
import { collectLimit, limitNames } from "../arguments/layer-limit.ts";

/** Adds the options of commands that write a layer. */
export function addWriteOptions(command: Command): Command {
  return command
    .addOption(new Option("--compression <kind>", "(default: none)").choices(["none", "gzip", "zstd"]))
    .option("--level <number>", "1 to 9 for gzip (default: 6), 1 to 19 for zstd (default: 3)", parseLevel)
    .addOption(
      new Option("--source-date-epoch <seconds>", "write times after this one, in seconds since 1970, as this one")
        .env("SOURCE_DATE_EPOCH")
        .argParser(parseEpoch),
    );
}

/** Adds the option that says what a layer may cost. */
export function addLimit(command: Command): Command {
  const what = `refuse layers with more: ${limitNames.join(", ")}; repeatable`;
  return command.option("--limit <name=value>", what, collectLimit);
}

/** Adds what says how much is unpacked at a time, and when. */
export function addUnpackOptions(command: Command): Command {
  return addDurability(command)
    .option(
      "--max-concurrent-unpacks <number>",
      "layers unpacked at a time (default: one less than cores, at most 4)",
      parsePositive,
    )
    .option("--no-parallel", "unpack one layer after another")
    .option("--no-follow", "unpack a layer when all of it is stored, not while it is fetched")
    .option("--check-space", "refuse an image that the disk cannot hold before its layers are fetched");
}

/** Adds the option that says what a power cut may cost. */
export function addDurability(command: Command): Command {
  const what = "none: leave out every sync, a power cut may cost the store (default: full)";
  return command.addOption(new Option("--durability <mode>", what).choices(["full", "none"]));
}

/** Adds the option that takes bytes from standard output to a file. */
export function addOutput(command: Command, what: string): Command {
  return command.option("-o, --output <file>", `where ${what} goes, - for standard output, also if it is a terminal`);
}
