import { once } from "node:events";
import { openBackends } from "@varve/client";
import type { Backends } from "@varve/client";
import { serveContainerd } from "@varve/containerd";
import { describeError } from "@varve/errors";
import type { CommandRun } from "../command-run.ts";
import { printNote, printResult } from "../output.ts";

interface ServeBackendsOptions {
  readonly address: string;
}

export async function serveBackends({ options, signal }: CommandRun<ServeBackendsOptions>): Promise<void> {
  const { durability, root, snapshotter } = options;
  const snapshotters = snapshotter === undefined ? undefined : [snapshotter];
  const backends = await openBackends({ root, durability, snapshotters });
  try {
    await serveUntil(signal, backends, options);
  } finally {
    await backends.close();
  }
}

async function serveUntil(
  signal: AbortSignal,
  backends: Backends,
  { address, json, progress }: CommandRun<ServeBackendsOptions>["options"],
): Promise<void> {
  const note = (text: string): void => {
    if (progress !== "none") printNote(text);
  };
  const { content, applier: differ } = backends;
  const snapshotters = Object.fromEntries(
    Object.entries(backends.snapshotters).map(([name, snapshotter]) => [pluginOf(name), snapshotter]),
  );
  const server = await serveContainerd({
    address,
    content,
    snapshotters,
    differ,
    onError: ({ method, error }) => note(`${method}: ${describeError(error)}`),
  });
  try {
    for (const [name, error] of Object.entries(backends.unusable)) {
      note(`${pluginOf(name)} is not served: ${describeError(error)}`);
    }
    const names = Object.keys(snapshotters);
    await printResult(json, { address, root: backends.root, snapshotters: names }, () => [
      `serving content, ${names.join(", ")} of ${backends.root} on ${address}`,
    ]);
    if (!signal.aborted) await once(signal, "abort");
  } finally {
    await server.close();
  }
}

/** The name of a snapshotter in containerd, which has some of the same names. */
function pluginOf(snapshotter: string): string {
  return `varve-${snapshotter}`;
}
