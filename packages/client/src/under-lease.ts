import type { Namespace } from "@varve/metadata";
import type { Stack } from "./stack.ts";

/** Clean-up has a deadline of its own: the caller's signal may be what ended the work. */
const patienceMs = 30_000;

/**
 * Runs an operation that no collector disturbs: everything it makes or finds is held by a lease, until the operation has
 * ended or its process is dead.
 */
export async function underLease<T>(
  stack: Stack,
  work: (namespace: Namespace) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { id } = await stack.createLease(signal);
  try {
    return await work(stack.namespace.under(id));
  } finally {
    // What is left of the lease goes with this process.
    await stack.namespace.leases.delete(id, { signal: AbortSignal.timeout(patienceMs) }).catch(() => undefined);
  }
}
