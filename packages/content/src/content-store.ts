import type { Ingester, IngestManager } from "./ingester.ts";
import type { Manager } from "./manager.ts";
import type { Provider } from "./provider.ts";

/**
 * Everything a content store does. Functions should ask for the smaller interface that they need.
 * Blobs are named by digest and never change; several processes may use one store at once.
 */
export interface ContentStore extends Provider, Ingester, IngestManager, Manager, AsyncDisposable {
  /** Frees what the store holds in this process; open writers are closed. Closing twice is allowed. */
  close(): Promise<void>;
}
