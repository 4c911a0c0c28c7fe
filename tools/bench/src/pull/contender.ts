import type { LayerForm } from "@varve-tools/corpus";
import type { Cost } from "../measure.ts";

/** Something that pulls and unpacks an image into an empty directory. */
export interface Contender {
  readonly name: string;
  /** What it pulls. Default: every form. */
  readonly forms?: readonly LayerForm[] | undefined;
  /** A word without which in `--only` it is left out, as it takes long. */
  readonly askedBy?: string | undefined;
  /** Whether it pulls hundreds of layers in seconds rather than minutes. */
  readonly takesManyLayers: boolean;
  readonly pull: (reference: string, store: string) => Promise<Cost>;
}
