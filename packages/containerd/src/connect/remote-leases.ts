import { randomUUID } from "node:crypto";
import type { Client } from "@connectrpc/connect";
import { CodedError } from "@varve/errors";
import { labelGcExpire, leaseFilter } from "@varve/leases";
import type { CallOptions, CreateLeaseOptions, Lease, LeaseManager, LeaseResource, ListOptions } from "@varve/leases";
import { Leases } from "../gen/containerd/services/leases/v1/leases_pb.js";
import type { Lease as WireLease, Resource } from "../gen/containerd/services/leases/v1/leases_pb.js";
import { toDate } from "../wire/values.ts";
import type { Caller } from "./caller.ts";
import { checkedLabels } from "./checked-labels.ts";

/** What containerd calls what a lease can hold. */
const wireTypes = { content: "content", ingest: "ingests", image: "images" } as const;
const snapshots = "snapshots/";

/** The leases of a namespace of containerd's. */
export class RemoteLeases implements LeaseManager {
  readonly #caller: Caller;
  readonly #leases: Client<typeof Leases>;

  constructor(caller: Caller) {
    this.#caller = caller;
    this.#leases = caller.client(Leases);
  }

  async create(options: CreateLeaseOptions = {}): Promise<Lease> {
    const { id = randomUUID(), labels = {}, expiresAt, signal } = options;
    if (id === "") throw new CodedError("ERR_INVALID_ARGUMENT", "lease: the id is empty");
    const expiry = expiresAt === undefined ? {} : { [labelGcExpire]: expiryOf(id, expiresAt) };
    const request = { id, labels: checkedLabels(`lease ${id}`, { ...labels, ...expiry }) };
    const { lease } = await this.#caller.change((call) => this.#leases.create(request, call), signal);
    if (lease === undefined) throw new CodedError("ERR_INTERNAL", "containerd: answered without a lease");
    return toLease(lease);
  }

  async delete(id: string, { signal }: CallOptions = {}): Promise<void> {
    mustBeNamed(id);
    await this.#caller.change((options) => this.#leases.delete({ id }, options), signal);
  }

  async *list({ filters, signal }: ListOptions = {}): AsyncGenerator<Lease, void, undefined> {
    const isWanted = leaseFilter(filters);
    const { leases } = await this.#caller.ask((options) => this.#leases.list({}, options), signal);
    for (const lease of leases.map(toLease)) if (isWanted(lease)) yield lease;
  }

  async add(id: string, resource: LeaseResource, { signal }: CallOptions = {}): Promise<void> {
    mustBeNamed(id);
    const request = { id, resource: fromResource(resource) };
    await this.#caller.change((options) => this.#leases.addResource(request, options), signal);
  }

  async remove(id: string, resource: LeaseResource, { signal }: CallOptions = {}): Promise<void> {
    mustBeNamed(id);
    const request = { id, resource: fromResource(resource) };
    await this.#caller.change((options) => this.#leases.deleteResource(request, options), signal);
  }

  async *resources(id: string, { signal }: CallOptions = {}): AsyncGenerator<LeaseResource, void, undefined> {
    mustBeNamed(id);
    const { resources } = await this.#caller.ask((options) => this.#leases.listResources({ id }, options), signal);
    for (const resource of resources) {
      const known = toResource(resource);
      if (known !== undefined) yield known;
    }
  }
}

function expiryOf(id: string, expiresAt: Date): string {
  if (!Number.isNaN(expiresAt.getTime())) return expiresAt.toISOString();
  throw new CodedError("ERR_INVALID_ARGUMENT", `lease ${id}: expiresAt is not a valid date`);
}

function mustBeNamed(id: string): void {
  if (id === "") throw new CodedError("ERR_NOT_FOUND", "lease: the empty id is none");
}

function toLease({ id, labels, createdAt }: WireLease): Lease {
  const expiry = new Date(labels[labelGcExpire] ?? NaN);
  // Containerd does not collect by a time that it cannot read.
  return { id, labels, createdAt: toDate(createdAt), ...(Number.isNaN(expiry.getTime()) ? {} : { expiresAt: expiry }) };
}

function fromResource(resource: LeaseResource): { id: string; type: string } {
  const { id, type } = resource;
  return { id, type: type === "snapshot" ? `${snapshots}${resource.snapshotter}` : wireTypes[type] };
}

/** `undefined` for what is not known here, such as what later versions can hold. */
function toResource({ id, type }: Resource): LeaseResource | undefined {
  if (type.startsWith(snapshots)) return { type: "snapshot", snapshotter: type.slice(snapshots.length), id };
  if (type === wireTypes.content) return { type: "content", id };
  if (type === wireTypes.ingest) return { type: "ingest", id };
  return type === wireTypes.image ? { type: "image", id } : undefined;
}
