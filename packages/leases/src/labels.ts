/** On a lease, with a time as RFC 3339 has it: when it stops holding its resources. The same as `expiresAt` (U-GC). */
export const labelGcExpire = "containerd.io/gc.expire";

/** On a lease, with any value: what it holds is kept, but not what that refers to by labels (U-GC). */
export const labelGcFlat = "containerd.io/gc.flat";

/**
 * On a lease: the process it was made for, as `@varve/locks` prints owners. It holds nothing any more once that process is
 * dead, so that an operation that was killed needs no expiry to be forgotten.
 */
export const labelLeaseOwner = "dev.varve/lease.owner";
