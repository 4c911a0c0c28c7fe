import type { Command } from "commander";

/** Adds `ls` to a group of commands, with the option that makes its output the arguments of another command. */
export function addLs(group: Command, description: string, quiet = "names"): Command {
  return group.command("ls").description(description).option("-q, --quiet", `only ${quiet}, one a line`);
}
