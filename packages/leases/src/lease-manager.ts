export interface CallOptions {
  /** Rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface ListOptions extends CallOptions {
  /**
   * Lists what at least one of these lets through, in containerd's filter language (`@varve/filters`).
   *
   * @throws ERR_INVALID_ARGUMENT a filter cannot be read; before the first element
   */
  readonly filters?: readonly string[] | undefined;
}

/** Keeps its resources from being collected, until it is deleted or has expired. */
export interface Lease {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  /** Absent: never. */
  readonly expiresAt?: Date | undefined;
}

/** What a lease holds. `id` is a digest, an ingest ref, an image name or a snapshot's key or name. */
export type LeaseResource =
  | { readonly type: "content" | "ingest" | "image"; readonly id: string }
  | { readonly type: "snapshot"; readonly snapshotter: string; readonly id: string };

export interface CreateLeaseOptions extends CallOptions {
  /** Default: a random one. */
  readonly id?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly expiresAt?: Date | undefined;
}

/** Keeps leases. Every change is one step, durable when it is acknowledged. */
export interface LeaseManager {
  /** @throws ERR_ALREADY_EXISTS the id is used */
  create(options?: CreateLeaseOptions): Promise<Lease>;
  /** @throws ERR_NOT_FOUND no such lease */
  delete(id: string, options?: CallOptions): Promise<void>;
  /** All leases, expired ones too, by id. Filters know the fields `id` and `labels.<name>`. */
  list(options?: ListOptions): AsyncIterable<Lease>;
  /** Adding what the lease holds already is no error. @throws ERR_NOT_FOUND no such lease */
  add(id: string, resource: LeaseResource, options?: CallOptions): Promise<void>;
  /** Removing what the lease does not hold is no error. @throws ERR_NOT_FOUND no such lease */
  remove(id: string, resource: LeaseResource, options?: CallOptions): Promise<void>;
  /** @throws ERR_NOT_FOUND no such lease */
  resources(id: string, options?: CallOptions): AsyncIterable<LeaseResource>;
}
