import { labelGcExpire, labelLeaseOwner } from "@varve/leases";
import type { Lease } from "@varve/leases";
import { isOwnerAlive } from "@varve/locks";
import { timeOf } from "../expiry.ts";
import type { Metadata } from "../metadata.ts";

/**
 * When the next lease or image of a store expires; the time may have passed. A lease whose process has ended expires now.
 * Images that expired before `after` are not looked at: something else may keep them.
 */
export async function nextExpiry(
  metadata: Metadata,
  options: { readonly signal?: AbortSignal | undefined; readonly after?: Date | undefined } = {},
): Promise<Date | undefined> {
  const { signal, after = new Date(0) } = options;
  let next: Date | undefined;
  const offer = (time: Date | undefined): void => {
    if (time !== undefined && (next === undefined || time < next)) next = time;
  };
  for await (const { name } of metadata.namespaces.list({ signal })) {
    const { leases, images } = metadata.namespace(name);
    for await (const lease of leases.list({ signal })) offer(endOf(lease));
    const filters = [`labels."${labelGcExpire}"`];
    for await (const { labels } of images.list({ signal, filters })) {
      const expiry = timeOf(labels[labelGcExpire] ?? "");
      if (expiry !== undefined && expiry > after) offer(expiry);
    }
  }
  return next;
}

function endOf({ labels, expiresAt }: Lease): Date | undefined {
  const owner = labels[labelLeaseOwner];
  if (owner !== undefined) return isOwnerAlive(owner) ? undefined : new Date();
  const label = timeOf(labels[labelGcExpire] ?? "");
  if (expiresAt === undefined || label === undefined) return expiresAt ?? label;
  return label < expiresAt ? label : expiresAt;
}
