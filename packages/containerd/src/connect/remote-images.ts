import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { CallOptions, LabelChanges, WalkOptions } from "@varve/content";
import { CodedError, hasCode } from "@varve/errors";
import { imageFilter } from "@varve/images";
import type {
  DeleteImageOptions,
  ImageChanges,
  ImageInput,
  ImageRecord,
  ImageStore,
  UpdateImageOptions,
} from "@varve/images";
import type { Descriptor } from "@varve/oci";
import type { DescriptorSchema } from "../gen/containerd/types/descriptor_pb.js";
import { Images } from "../gen/containerd/services/images/v1/images_pb.js";
import type { Image, ImageSchema } from "../gen/containerd/services/images/v1/images_pb.js";
import { fromDescriptor, toDate, toDescriptor } from "../wire/values.ts";
import type { Caller } from "./caller.ts";
import { checkedLabels, valuesSet } from "./checked-labels.ts";

/** To remove a label that nobody has changes nothing but the time; an update without any path would empty the image. */
const touchOnly = "labels.dev.varve/none";
/** How often an image may come and go while it is put. */
const attempts = 10;

/** The image records of a namespace of containerd's. */
export class RemoteImages implements ImageStore {
  readonly #caller: Caller;
  readonly #images: Client<typeof Images>;

  constructor(caller: Caller) {
    this.#caller = caller;
    this.#images = caller.client(Images);
  }

  async get(name: string, { signal }: CallOptions = {}): Promise<ImageRecord> {
    mustBeNamed(name);
    const { image } = await this.#caller.ask((options) => this.#images.get({ name }, options), signal);
    return toRecord(image);
  }

  async *list({ filters, signal }: WalkOptions = {}): AsyncGenerator<ImageRecord, void, undefined> {
    const isWanted = imageFilter(filters);
    const { images } = await this.#caller.ask((options) => this.#images.list({}, options), signal);
    for (const image of images.map(toRecord)) if (isWanted(image)) yield image;
  }

  async create(input: ImageInput, { signal }: CallOptions = {}): Promise<ImageRecord> {
    const { name, target, labels = {} } = input;
    if (name === "") throw new CodedError("ERR_INVALID_ARGUMENT", "image: the name is empty");
    const request = {
      image: { name, target: targetFor(name, target), labels: checkedLabels(`image ${name}`, labels) },
    };
    const { image } = await this.#caller.change((options) => this.#images.create(request, options), signal);
    return toRecord(image);
  }

  async update(name: string, changes: ImageChanges, options: UpdateImageOptions = {}): Promise<ImageRecord> {
    mustBeNamed(name);
    const { paths, image: changed } = updateOf(name, changes, options.replace === true);
    const request = { image: changed, updateMask: { paths: paths.length === 0 ? [touchOnly] : paths } };
    const { image } = await this.#caller.change((call) => this.#images.update(request, call), options.signal);
    return toRecord(image);
  }

  async put(input: ImageInput, { signal }: CallOptions = {}): Promise<ImageRecord> {
    const { name, target, labels } = input;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.update(name, { target, labels }, { signal });
      } catch (error) {
        if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
      }
      try {
        return await this.create(input, { signal });
      } catch (error) {
        if (!hasCode(error, "ERR_ALREADY_EXISTS") || attempt === attempts) throw error;
      }
    }
  }

  async delete(name: string, { target, signal }: DeleteImageOptions = {}): Promise<void> {
    mustBeNamed(name);
    let current: Descriptor | undefined;
    if (target !== undefined) {
      // Before 2.0 containerd does not look at the target, so what was put there at the last moment is deleted, too.
      current = (await this.get(name, { signal })).target;
      if (current.digest !== target) {
        throw new CodedError("ERR_NOT_FOUND", `image ${name}: stands for ${current.digest}, not for ${target}`);
      }
    }
    const request = { name, ...(current === undefined ? {} : { target: fromDescriptor(current) }) };
    await this.#caller.change((options) => this.#images.delete(request, options), signal);
  }
}

interface WireUpdate {
  readonly paths: string[];
  readonly image: MessageInitShape<typeof ImageSchema>;
}

function updateOf(name: string, changes: ImageChanges, replace: boolean): WireUpdate {
  const { target, annotations, labels } = changes;
  const paths: string[] = [];
  let wireTarget: MessageInitShape<typeof DescriptorSchema> | undefined;
  if (target !== undefined) {
    paths.push("target");
    const merged = annotations === undefined ? target : { ...target, annotations: merge(target, annotations, replace) };
    wireTarget = targetFor(name, merged);
  } else if (annotations !== undefined) {
    paths.push(...pathsOf("annotations", annotations, replace));
    wireTarget = { annotations: valuesSet(annotations) };
  }
  if (labels !== undefined) paths.push(...pathsOf("labels", labels, replace));
  return {
    paths,
    image: {
      name,
      labels: checkedLabels(`image ${name}`, labels ?? {}),
      ...(wireTarget === undefined ? {} : { target: wireTarget }),
    },
  };
}

function pathsOf(field: string, changes: LabelChanges, replace: boolean): string[] {
  return replace ? [field] : Object.keys(changes).map((key) => `${field}.${key}`);
}

function merge({ annotations = {} }: Descriptor, changes: LabelChanges, replace: boolean): Record<string, string> {
  return valuesSet({ ...(replace ? {} : annotations), ...changes });
}

/** Media type, digest and size are what containerd keeps of it, and the annotations. */
function targetFor(name: string, target: Descriptor): MessageInitShape<typeof DescriptorSchema> {
  const { mediaType, digest, size, annotations } = target;
  if (mediaType !== "" && digest !== undefined && Number.isSafeInteger(size) && size > 0) {
    return fromDescriptor({ mediaType, digest, size, annotations });
  }
  throw new CodedError("ERR_INVALID_ARGUMENT", `image ${name}: its target needs media type, digest and size`);
}

function mustBeNamed(name: string): void {
  if (name === "") throw new CodedError("ERR_NOT_FOUND", "image: the empty name is none");
}

function toRecord(image: Image | undefined): ImageRecord {
  if (image === undefined) throw new CodedError("ERR_INTERNAL", "containerd: answered without an image");
  const { name, target, labels, createdAt, updatedAt } = image;
  return { name, target: toDescriptor(target), labels, createdAt: toDate(createdAt), updatedAt: toDate(updatedAt) };
}
