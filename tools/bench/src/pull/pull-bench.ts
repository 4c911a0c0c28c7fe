import type { LayerForm } from "@varve-tools/corpus";
import type { Store } from "../store.ts";
import type { ImageServer } from "./image-server.ts";
import type { InstalledVarve } from "./installed-varve.ts";

/** What the tables of this bench are made with. */
export interface PullBench {
  readonly varve: InstalledVarve;
  readonly server: ImageServer;
  readonly store: Store;
  readonly runs: number;
}

/** What is pulled. */
export interface ImageInForm {
  readonly image: string;
  readonly form: LayerForm;
}
