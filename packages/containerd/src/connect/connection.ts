import { connect } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Transport } from "@connectrpc/connect";
import { Http2SessionManager, createGrpcTransport } from "@connectrpc/connect-node";
import { CodedError } from "@varve/errors";
import { fromStatus } from "../wire/status.ts";

/** What containerd takes and sends at most. */
const maxMessageBytes = 16 * 1024 * 1024;
/** Of a stream, ahead of its reader. Node's own 64 KiB make large blobs wait for the other side again and again. */
const windowBytes = 2 * 1024 * 1024;
/** A Unix socket has no host; containerd looks at the path of a request only. */
const origin = "http://localhost";

/** What node:net says when nobody is there. */
const absences: ReadonlyMap<unknown, string> = new Map([
  ["ENOENT", "there is no such socket"],
  ["ENOTDIR", "there is no such socket"],
  ["ECONNREFUSED", "nobody answers at the socket"],
  ["ENOTSOCK", "is not a socket"],
]);

/** One HTTP/2 connection to a containerd, made when it is needed and made again when it was lost. Idle it keeps no process alive. */
export class Connection {
  readonly address: string;
  readonly transport: Transport;
  readonly #sessions: Http2SessionManager;
  #isClosed = false;

  constructor(address: string) {
    this.address = address;
    this.#sessions = new Http2SessionManager(
      origin,
      {},
      {
        createConnection: () => connect({ path: address }),
        // Node's 10 MB are few when several blobs are written at once.
        maxSessionMemory: 1024,
        settings: { initialWindowSize: windowBytes },
      },
    );
    this.transport = createGrpcTransport({
      baseUrl: origin,
      sessionManager: this.#sessions,
      readMaxBytes: maxMessageBytes,
      writeMaxBytes: maxMessageBytes,
      acceptCompression: [],
    });
  }

  mustBeOpen(): void {
    if (this.#isClosed) throw new CodedError("ERR_FAILED_PRECONDITION", `containerd ${this.address}: is closed`);
  }

  /** What is thrown for a call that failed. */
  failure(error: unknown, signal?: AbortSignal): unknown {
    if (signal?.aborted === true) return signal.reason;
    if (!(error instanceof ConnectError)) return error;
    // Only what came from the other side has a status.
    if (error.metadata.has("grpc-status")) return fromStatus(error, "containerd");
    if (this.#isClosed) {
      const text = `containerd ${this.address}: was closed in the middle of a call`;
      return new CodedError("ERR_ABORTED", text, { cause: error });
    }
    return this.#loss(error) ?? fromStatus(error, `containerd ${this.address}`);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sessions.abort(new ConnectError("closed", Code.Canceled));
  }

  /** Of the codes that the transport has for what it met, these are lost connections. */
  #loss(error: ConnectError): CodedError | undefined {
    const code = error.cause instanceof Error && "code" in error.cause ? error.cause.code : undefined;
    if (code === "EACCES") {
      return new CodedError("ERR_PERMISSION_DENIED", `containerd ${this.address}: the socket is for others only`, {
        cause: error,
      });
    }
    if (![Code.Aborted, Code.Canceled, Code.Internal, Code.Unavailable].includes(error.code)) return undefined;
    const text = absences.get(code) ?? "the connection broke off";
    return new CodedError("ERR_NETWORK", `containerd ${this.address}: ${text}`, { cause: error });
  }
}
