import type { Client } from "@varve/client";
import { CodedError } from "@varve/errors";
import type { Snapshotter } from "@varve/snapshots";
import { withClient } from "../globals.ts";
import type { GlobalOptions } from "../globals.ts";

/** The snapshots that the options mean. */
export interface OpenedSnapshotter {
  readonly client: Client;
  readonly snapshotter: Snapshotter;
  /** @throws ERR_FAILED_PRECONDITION the snapshot is mounted */
  readonly mustBeUnmounted: (key: string, signal: AbortSignal) => Promise<void>;
  /** The same error with where the snapshot was looked for. */
  readonly locate: (error: unknown) => unknown;
}

/** Opens the snapshotter the options ask for, and closes it when `body` is done. Errors say which it was. */
export async function withSnapshotter<T>(
  options: GlobalOptions,
  body: (opened: OpenedSnapshotter) => Promise<T>,
): Promise<T> {
  return withClient(options, async (client) => {
    const where = `snapshotter ${client.defaultSnapshotter}, namespace ${client.namespace}`;
    const locate = (error: unknown): unknown => located(error, where);
    const snapshotter = await client.snapshotter();
    let mountPoints: ReturnType<Client["mountPoints"]> | undefined;
    const mustBeUnmounted = async (key: string, signal: AbortSignal): Promise<void> => {
      // Once for all keys, of which there may be thousands.
      mountPoints ??= client.mountPoints({ signal });
      const [directory] = (await mountPoints).get(key) ?? [];
      if (directory === undefined) return;
      throw new CodedError(
        "ERR_FAILED_PRECONDITION",
        `snapshot ${key}: is mounted on ${directory}, unmount that first`,
      );
    };
    try {
      return await body({ client, snapshotter, mustBeUnmounted, locate });
    } catch (error) {
      throw locate(error);
    }
  });
}

function located(error: unknown, where: string): unknown {
  if (!(error instanceof CodedError) || error.message.endsWith(`(${where})`)) return error;
  // A cause of the same code says the same, in the words of the store below.
  const { cause } = error;
  const says = cause instanceof CodedError && cause.code === error.code ? {} : { cause };
  return new CodedError(error.code, `${error.message} (${where})`, says);
}
