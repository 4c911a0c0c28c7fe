import type { ContentStore } from "@varve/content";
import type { Applier, Comparer } from "@varve/diff";
import type { Snapshotter } from "@varve/snapshots";

export interface ServeContainerdOptions {
  /**
   * Path of the Unix socket, mode 0600. One that a dead process left is replaced; its directory must be there.
   */
  readonly address: string;
  /** By the names that requests carry: those of the `proxy_plugins` in containerd's configuration. */
  readonly snapshotters?: Readonly<Record<string, Snapshotter>> | undefined;
  /** To be the one content store of a containerd it needs labels; without them labels are refused. */
  readonly content?: ContentStore | undefined;
  /** What it lacks of the two is answered with Unimplemented, so that containerd asks its next differ. */
  readonly differ?: Applier | Comparer | (Applier & Comparer) | undefined;
  /** Told of each call that failed in a way its caller has not caused: a defect, or a system error. */
  readonly onError?: ((failure: CallFailure) => void) | undefined;
}

export interface CallFailure {
  /** `containerd.services.snapshots.v1.Snapshots/Commit` */
  readonly method: string;
  readonly error: unknown;
}

/** Serves until it is closed. What it serves belongs to the caller, and is closed by the caller afterwards. */
export interface ContainerdServer extends AsyncDisposable {
  readonly address: string;
  /** Takes no more calls, waits for those under way, aborts what takes longer than a second, and removes the socket. */
  close(): Promise<void>;
}

/**
 * Serves snapshotters, a content store and a differ over containerd's gRPC interface, for its `proxy_plugins`: one socket for all.
 *
 * @throws ERR_ALREADY_EXISTS somebody listens on the socket, or it is not a socket
 * @throws ERR_INVALID_ARGUMENT there is nothing to serve, or the address is too long for a socket (107 bytes)
 */
export declare function serveContainerd(options: ServeContainerdOptions): Promise<ContainerdServer>;
