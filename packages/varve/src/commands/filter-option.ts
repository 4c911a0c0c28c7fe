import { Option } from "commander";
import { collectValue } from "../arguments/repeated.ts";

/** `--filter`, for commands that list; `example` shows a field they know. */
export function filterOption(example: string): Option {
  return new Option("--filter <filter>", `such as ${example}; of several, one that matches is enough`).argParser(
    collectValue,
  );
}
