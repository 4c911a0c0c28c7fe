import type { CreateOptions, LayerPreparer, LayerRequest, PreparedLayer } from "@varve/snapshots";
import { RebasingSnapshotter } from "./fakes.ts";

/** One that has layers of its own, by chain ID, and can rebase besides. */
export class PreparingSnapshotter extends RebasingSnapshotter implements LayerPreparer {
  readonly layers: Map<string, "committed" | "staged"> = new Map();
  readonly requests: { request: LayerRequest; options: CreateOptions | undefined }[] = [];
  /** What it calls what it has committed. */
  nameOf: (target: string) => string = (target) => target;

  async prepareLayer(request: LayerRequest, options: CreateOptions = {}): Promise<PreparedLayer> {
    const { key, parent, target } = request;
    options.signal?.throwIfAborted();
    this.requests.push({ request, options });
    this.calls.push(`prepareLayer ${target} on ${parent ?? ""}`);
    await this.hooks.prepareLayer?.(target, parent);
    options.signal?.throwIfAborted();
    const state = this.layers.get(target) ?? "empty";
    const files = new Map([[`of ${target}`, "here"]]);
    if (state === "committed") {
      const name = this.nameOf(target);
      this.entries.set(name, { kind: "committed", parent, labels: {}, files });
      return { state, name };
    }
    const mounts = await this.prepare(key, parent, options);
    if (state === "staged") for (const [file, text] of files) this.files(mounts).set(file, text);
    return { state, mounts };
  }
}
