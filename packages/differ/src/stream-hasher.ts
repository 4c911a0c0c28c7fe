import { createDigester } from "@varve/digest";
import type { Digester } from "@varve/digest";
import type { Hashed } from "./jobs.ts";
import type { SplitRecorder, SplitTarget } from "./split-recorder.ts";

/** Hashes a stream, and records it for tar-split if that is wanted. */
export class StreamHasher {
  readonly #digester: Digester = createDigester();
  readonly #recorder: SplitRecorder | undefined;

  private constructor(recorder: SplitRecorder | undefined) {
    this.#recorder = recorder;
  }

  static async open(split: SplitTarget | undefined): Promise<StreamHasher> {
    if (split === undefined) return new StreamHasher(undefined);
    // Loaded when it is wanted: most layers are only hashed, and a thread that does not load `archive` starts in half the time.
    const { SplitRecorder: Recorder } = await import("./split-recorder.ts");
    return new StreamHasher(new Recorder(split));
  }

  write(block: Uint8Array): void {
    // The diff ID covers what follows the end of the archive, too (U-DIFF.3).
    this.#digester.update(block);
    this.#recorder?.write(block);
  }

  end(): Hashed {
    return { digest: this.#digester.digest(), size: this.#digester.size, split: this.#recorder?.end() };
  }

  /** Leaves no records. Nothing happens after `end`. */
  abort(): void {
    this.#recorder?.abort();
  }
}
