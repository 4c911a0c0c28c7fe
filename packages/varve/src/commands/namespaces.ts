import type { Command } from "commander";
import type { Run } from "../command-run.ts";
import { filterOption } from "./filter-option.ts";
import { addLs } from "./ls-command.ts";

export function addNamespaces(program: Command, run: Run): void {
  const namespaces = program.command("namespaces").description("who shares the store; see --namespace");
  addLs(namespaces, "list namespaces")
    .addOption(filterOption("labels.team==a"))
    .action(async (_own: unknown, command: Command) => {
      const { listNamespaces } = await import("../actions/list-namespaces.ts");
      await listNamespaces(run(command));
    });
}
