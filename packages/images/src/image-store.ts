import type { CallOptions, LabelChanges, WalkOptions } from "@varve/content";
import type { Digest } from "@varve/digest";
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

/** What to change of an image; what is absent stays. The name never changes. */
export interface ImageChanges {
  /** Replaces the target as a whole, annotations included. */
  readonly target?: Descriptor | undefined;
  /** Annotations of the target by name, after `target` was replaced; `undefined` removes one. */
  readonly annotations?: LabelChanges | undefined;
  /** Labels by name; `undefined` removes one. */
  readonly labels?: LabelChanges | undefined;
}

export interface UpdateImageOptions extends CallOptions {
  /** Of `labels` and `annotations`, where they are given, also removes what they do not name. Default: false. */
  readonly replace?: boolean | undefined;
}

export interface DeleteImageOptions extends CallOptions {
  /** Deletes the image only if its target has this digest, so that what somebody else has put there since stays. */
  readonly target?: Digest | undefined;
}

/** Keeps image records. Every change is one step, durable when it is acknowledged. */
export interface ImageStore {
  /** @throws ERR_NOT_FOUND no such image */
  get(name: string, options?: CallOptions): Promise<ImageRecord>;
  /**
   * All images, by name. Filters know the fields `name`, `target.digest`, `target.mediatype`, `labels.<name>` and
   * `annotations.<name>`.
   */
  list(options?: WalkOptions): AsyncIterable<ImageRecord>;
  /**
   * @throws ERR_ALREADY_EXISTS the name is used
   * @throws ERR_INVALID_ARGUMENT the name is empty, or the target lacks media type, digest or size (U-MD.9)
   */
  create(image: ImageInput, options?: CallOptions): Promise<ImageRecord>;
  /**
   * Changes an image in one step; without changes only its time.
   *
   * @throws ERR_NOT_FOUND no such image
   * @throws ERR_INVALID_ARGUMENT the new target lacks media type, digest or size
   */
  update(name: string, changes: ImageChanges, options?: UpdateImageOptions): Promise<ImageRecord>;
  /** Creates the image, or moves its name to another target. Labels that are not given stay. */
  put(image: ImageInput, options?: CallOptions): Promise<ImageRecord>;
  /** @throws ERR_NOT_FOUND no such image, or its target is another than `options.target` */
  delete(name: string, options?: DeleteImageOptions): Promise<void>;
}
