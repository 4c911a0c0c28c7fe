import type { CallOptions } from "@varve/content";
import type { Descriptor } from "@varve/oci";

/** A name for a descriptor. */
export interface ImageRecord {
  /** Any text that is not empty; for images from a registry the normalised reference. */
  readonly name: string;
  /** The manifest or index that the name stands for. */
  readonly target: Descriptor;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface ImageInput {
  readonly name: string;
  readonly target: Descriptor;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** Keeps image records. Every change is one step, durable when it is acknowledged. */
export interface ImageStore {
  /** @throws ERR_NOT_FOUND no such image */
  get(name: string, options?: CallOptions): Promise<ImageRecord>;
  /** All images, by name. */
  list(options?: CallOptions): AsyncIterable<ImageRecord>;
  /**
   * @throws ERR_ALREADY_EXISTS the name is used
   * @throws ERR_INVALID_ARGUMENT the name is empty, or the target lacks media type, digest or size
   */
  create(image: ImageInput, options?: CallOptions): Promise<ImageRecord>;
  /** Creates the image, or moves its name to another target. Labels that are not given stay. */
  put(image: ImageInput, options?: CallOptions): Promise<ImageRecord>;
  /** @throws ERR_NOT_FOUND no such image */
  delete(name: string, options?: CallOptions): Promise<void>;
}
