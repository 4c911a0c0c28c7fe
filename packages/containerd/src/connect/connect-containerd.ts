import type { ContentStore, Labeler } from "@varve/content";
import type { Applier, Comparer } from "@varve/diff";
import { CodedError } from "@varve/errors";
import type { ImageStore } from "@varve/images";
import type { LeaseManager } from "@varve/leases";
import type { Cleaner, Snapshotter } from "@varve/snapshots";
import { Version } from "../gen/containerd/services/version/v1/version_pb.js";
import { Caller } from "./caller.ts";
import { Connection } from "./connection.ts";
import { RemoteContent } from "./remote-content.ts";
import { RemoteDiffer } from "./remote-differ.ts";
import { RemoteImages } from "./remote-images.ts";
import { RemoteLeases } from "./remote-leases.ts";
import { RemoteSnapshotter } from "./remote-snapshotter.ts";

const defaultAddress = "/run/containerd/containerd.sock";

export interface ConnectContainerdOptions {
  /** Path of its socket. Default: `/run/containerd/containerd.sock`. */
  readonly address?: string | undefined;
  /** Default: `default`, which is that of `ctr`; Kubernetes has `k8s.io`, Docker `moby`. */
  readonly namespace?: string | undefined;
}

/**
 * The stores of a containerd that runs, as seen from one namespace. Nothing is asked before the first call, and a containerd that
 * was restarted is connected to again. While there is none, and when one goes in the middle of a call, calls end with ERR_NETWORK,
 * which can be tried again.
 */
export interface Containerd extends AsyncDisposable {
  readonly address: string;
  readonly namespace: string;
  readonly content: ContentStore & Labeler;
  readonly images: ImageStore;
  readonly leases: LeaseManager;
  /** Applies and compares by containerd's own diff service, in its process. */
  readonly differ: Applier & Comparer;
  /** A snapshotter of containerd by its name: `overlayfs`, `native`, or that of a proxy plugin. To close it is not needed. */
  snapshotter(name: string): Snapshotter & Cleaner;
  /** The same, where all that is made is held by a lease. Closing it is not needed. */
  withLease(id: string): Containerd;
  /** What answers at the other end: the version of containerd, as `1.6.20`. */
  version(): Promise<string>;
  /** Ends the calls under way, and closes the connection. Closing twice is allowed. */
  close(): Promise<void>;
}

/**
 * Connects to a containerd, when it is first needed.
 *
 * @throws ERR_INVALID_ARGUMENT the namespace is none that containerd could have
 */
export function connectContainerd(options: ConnectContainerdOptions = {}): Containerd {
  const { address = defaultAddress, namespace = "default" } = options;
  // https://github.com/containerd/containerd/blob/main/pkg/identifiers/validate.go
  if (!/^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/.test(namespace) || namespace.length > 76) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `namespace ${JSON.stringify(namespace)}: is no name for one`);
  }
  return new ConnectedContainerd(new Connection(address), namespace, undefined);
}

class ConnectedContainerd implements Containerd {
  readonly namespace: string;
  readonly content: ContentStore & Labeler;
  readonly images: ImageStore;
  readonly leases: LeaseManager;
  readonly differ: Applier & Comparer;
  readonly #connection: Connection;
  readonly #caller: Caller;
  readonly #lease: string | undefined;

  constructor(connection: Connection, namespace: string, lease: string | undefined) {
    const caller = new Caller(connection, namespace, lease);
    this.namespace = namespace;
    this.content = new RemoteContent(caller);
    this.images = new RemoteImages(caller);
    this.leases = new RemoteLeases(caller);
    this.differ = new RemoteDiffer(caller, this.content, () => this.version());
    this.#connection = connection;
    this.#caller = caller;
    this.#lease = lease;
  }

  get address(): string {
    return this.#connection.address;
  }

  snapshotter(name: string): Snapshotter & Cleaner {
    return new RemoteSnapshotter(this.#caller, name);
  }

  withLease(id: string): Containerd {
    // It travels in a header.
    if (!/^[\x21-\x7e]+$/.test(id)) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `lease ${JSON.stringify(id)}: cannot be named in a call`);
    }
    return new ConnectedContainerd(this.#connection, this.namespace, id);
  }

  async version(): Promise<string> {
    const client = this.#caller.client(Version);
    return (await this.#caller.ask((options) => client.version({}, options))).version;
  }

  async close(): Promise<void> {
    // The connection is that of the one without a lease.
    if (this.#lease === undefined) this.#connection.close();
    else await this.content.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
