import type { Client } from "@varve/client";
import type { ProgressMode } from "./progress/progress-modes.ts";

/** The options every command takes, before or after its name. */
export interface GlobalOptions {
  readonly root?: string;
  readonly namespace?: string;
  readonly platform?: string;
  readonly snapshotter?: string;
  readonly plainHttp?: boolean;
  readonly progress: ProgressMode;
  readonly json?: boolean;
}

/** Opens the client the options ask for, and closes it when `body` is done. */
export async function withClient<T>(options: GlobalOptions, body: (client: Client) => Promise<T>): Promise<T> {
  const { openClient } = await import("@varve/client");
  const client = await openClient({
    root: options.root,
    namespace: options.namespace,
    snapshotter: options.snapshotter,
    registry: { plainHttp: options.plainHttp },
  });
  let result: T;
  try {
    result = await body(client);
  } catch (error) {
    // Of two errors the first one says what went wrong.
    await client.close().catch(() => undefined);
    throw error;
  }
  await client.close();
  return result;
}
