import type { Digest } from "@varve/digest";
import { isConfigType, isLayerType, isManifestType } from "@varve/oci";
import type { Descriptor } from "@varve/oci";

/** The layers of one manifest, which wait for its config. */
export interface WithheldLayers {
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/**
 * Takes the layers out of the walk (U-UNP.3) and remembers them under their config. Several manifests may share one config
 * with other layers each; every one keeps its own list (U-UNP.4, G-34).
 */
export class LayerKeeper {
  readonly #byConfig: Map<Digest, WithheldLayers[]> = new Map();
  readonly #seen: Set<Digest> = new Set();

  /** The children that stay in the walk. All of them, unless they are those of an image's manifest. */
  withhold(manifest: Descriptor, children: readonly Descriptor[]): readonly Descriptor[] {
    if (!isManifestType(manifest.mediaType)) return children;
    const config = children.find((child) => isConfigType(child.mediaType));
    // Artifacts have configs of their own kinds, and attestations layers of theirs: nothing to unpack (U-IMG.15).
    if (config === undefined) return children;
    const layers = children.filter((child) => isLayerType(child.mediaType));
    const rest = children.filter((child) => !isLayerType(child.mediaType));
    if (layers.length > 0 || rest.length === 1) this.#keep({ manifest, config, layers });
    return rest;
  }

  /** The layers that wait for this config, each list once. */
  take(config: Descriptor): readonly WithheldLayers[] {
    const waiting = this.#byConfig.get(config.digest) ?? [];
    this.#byConfig.delete(config.digest);
    return waiting;
  }

  #keep(withheld: WithheldLayers): void {
    // An index may name one manifest several times.
    if (this.#seen.has(withheld.manifest.digest)) return;
    this.#seen.add(withheld.manifest.digest);
    const list = this.#byConfig.get(withheld.config.digest) ?? [];
    list.push(withheld);
    this.#byConfig.set(withheld.config.digest, list);
  }
}
