import { createHash } from "node:crypto";
import { connectContainerd } from "@varve/containerd";
import type { Containerd } from "@varve/containerd";
import { hasCode } from "@varve/errors";

/** Keeps what a case makes from containerd's garbage collection. */
const lease = "suite";

/**
 * A part of a containerd, in the namespace of its own that a place of a suite has. To close the part closes the connection.
 *
 * @param part of what is held by a lease
 */
export async function openPlace<T extends { close(): Promise<void> }>(
  address: string,
  place: string,
  part: (containerd: Containerd) => T,
): Promise<T> {
  const name = createHash("sha256").update(place).digest("hex").slice(0, 16);
  const containerd = connectContainerd({ address, namespace: `suite-${name}` });
  try {
    await containerd.leases.create({ id: lease });
  } catch (error) {
    if (!hasCode(error, "ERR_ALREADY_EXISTS")) throw error;
  }
  const opened = part(containerd.withLease(lease));
  const close = opened.close.bind(opened);
  return Object.assign(opened, {
    close: async (): Promise<void> => {
      await close();
      await containerd.close();
    },
  });
}
