import type { ContentStore, Labeler } from "@varve/content";
import type { Applier, Comparer } from "@varve/diff";
import type { ImageStore } from "@varve/images";
import type { LeaseManager } from "@varve/leases";
import type { Cleaner, Snapshotter } from "@varve/snapshots";

export interface ConnectContainerdOptions {
  /** Path of its socket. Default: `/run/containerd/containerd.sock`. */
  readonly address?: string | undefined;
  /** Default: `default`, which is that of `ctr`; Kubernetes has `k8s.io`, Docker `moby`. */
  readonly namespace?: string | undefined;
}

/**
 * The stores of a containerd that runs, as seen from one namespace. Nothing is asked before the first call, and a containerd that
 * was restarted is connected to again. While there is none, calls end with ERR_UNAVAILABLE, which can be tried again.
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

/** Connects to a containerd, when it is first needed. */
export declare function connectContainerd(options?: ConnectContainerdOptions): Containerd;
