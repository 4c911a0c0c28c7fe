import type { Client, Lease } from "@varve/client";
import { hasCode } from "@varve/errors";
import { formatLabels } from "../format.ts";
import { withClient } from "../globals.ts";
import { printList, printResult } from "../output.ts";
import type { ListOptions } from "../output.ts";
import type { CommandRun } from "../command-run.ts";

interface ListLeasesOptions extends ListOptions {
  readonly filter?: readonly string[];
}

interface CreateOptions {
  readonly id?: string;
  /** Milliseconds. */
  readonly expires?: number;
  readonly label?: Readonly<Record<string, string>>;
}

interface Listed extends Lease {
  /** How many things it keeps by itself. */
  readonly resources: number;
}

export async function listLeases({ options, signal }: CommandRun<ListLeasesOptions>): Promise<void> {
  const form = {
    key: "leases",
    header: ["ID", "RESOURCES", "CREATED", "EXPIRES", "LABELS"],
    row: ({ id, resources, createdAt, expiresAt, labels }: Listed) => [
      id,
      String(resources),
      createdAt.toISOString(),
      expiresAt?.toISOString() ?? "never",
      formatLabels(labels),
    ],
    name: ({ id }: Listed) => id,
  };
  await printList(options, form, () => withClient(options, (client) => list(client, options.filter, signal)));
}

export async function createLease({ options, signal }: CommandRun<CreateOptions>): Promise<void> {
  const { expires, id, label: labels } = options;
  const expiresAt = expires === undefined ? undefined : new Date(Date.now() + expires);
  const lease = await withClient(options, ({ leases }) => leases.create({ id, labels, expiresAt, signal }));
  await printResult(options.json, lease, () => [lease.id]);
}

/** What ends meanwhile is left out. */
async function list(client: Client, filters: readonly string[] | undefined, signal: AbortSignal): Promise<Listed[]> {
  const listed: Listed[] = [];
  for await (const lease of client.leases.list({ filters, signal })) {
    const resources = await countResources(client, lease.id, signal);
    if (resources !== undefined) listed.push({ ...lease, resources });
  }
  return listed;
}

async function countResources(client: Client, id: string, signal: AbortSignal): Promise<number | undefined> {
  let count = 0;
  try {
    for await (const _ of client.leases.resources(id, { signal })) count += 1;
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return undefined;
    throw error;
  }
  return count;
}
