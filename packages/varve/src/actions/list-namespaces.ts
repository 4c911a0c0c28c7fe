import type { NamespaceInfo } from "@varve/client";
import { formatLabels } from "../format.ts";
import { withClient } from "../globals.ts";
import { printList } from "../output.ts";
import type { ListOptions } from "../output.ts";
import type { CommandRun } from "../command-run.ts";

interface ListNamespacesOptions extends ListOptions {
  readonly filter?: readonly string[];
}

export async function listNamespaces({ options, signal }: CommandRun<ListNamespacesOptions>): Promise<void> {
  const form = {
    key: "namespaces",
    header: ["NAME", "LABELS"],
    row: ({ name, labels }: NamespaceInfo) => [name, formatLabels(labels)],
    name: ({ name }: NamespaceInfo) => name,
  };
  await printList(options, form, () =>
    withClient(options, ({ namespaces }) => Array.fromAsync(namespaces.list({ filters: options.filter, signal }))),
  );
}
