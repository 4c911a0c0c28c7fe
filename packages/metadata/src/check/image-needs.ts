import { readBlob } from "@varve/content";
import type { ContentStore } from "@varve/content";
import { chainIds } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import { childrenOf } from "@varve/images";
import { isConfigType, isIndexType, isManifestType, isSchema1Type, parseImageConfig, useInlineData } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { isCoded } from "../snapshots/users-words.ts";
import type { Breathe } from "./breather.ts";
import type { NamedImage } from "./records.ts";

const maxDescriptors = 100_000;

/** What an image is made of, as far as its documents can be read. */
export interface ImageNeeds extends NamedImage {
  readonly digests: ReadonlySet<Digest>;
  /** What it cannot do without and does not have. */
  readonly missing: readonly Digest[];
  /** Why a document of it cannot be used, though its bytes are whole. */
  readonly unusable: string | undefined;
  /** The layers of those of its manifests whose config is there, bottom first, and the names of what they unpack to. */
  readonly chains: readonly Chain[];
}

interface Chain {
  readonly layers: readonly Digest[];
  /** Element i holds the layers up to `layers[i]`. */
  readonly names: readonly Digest[];
}

export interface NeedsContext {
  readonly content: ContentStore;
  readonly breathe: Breathe;
  readonly signal: AbortSignal | undefined;
  /** Whether a namespace has a blob. */
  readonly has: (namespace: string, digest: Digest) => boolean;
  /** Whether a namespace has a snapshot in a snapshotter that brings layers by itself. */
  readonly isBrought: (namespace: string, snapshot: Digest) => boolean;
  /** Whether the bytes of a blob turned out to be damaged, which is told by itself. */
  readonly isDamaged: (digest: Digest) => Promise<boolean>;
  /** Documents that were read before: many images have some in common. */
  readonly documents: Map<Digest, Document>;
}

interface Document {
  readonly children: readonly Descriptor[];
  readonly chain?: Chain | undefined;
  readonly failure?: string | undefined;
}

interface Node extends Document {
  readonly descriptor: Descriptor;
  readonly isPresent: boolean;
}

const nothing: Document = { children: [] };

/**
 * Holds an image against what its namespace has. Of an index one manifest has to be complete; a manifest that is there has
 * to have its config and all its layers.
 */
export async function needsOf(named: NamedImage, context: NeedsContext): Promise<ImageNeeds> {
  const { nodes, bottomUp, failure } = await survey(named, context);
  const complete = new Set<Digest>();
  const missing = new Set<Digest>();
  let unusable = failure;
  for (const digest of bottomUp) {
    const node = nodes.get(digest);
    if (node === undefined || !node.isPresent) continue;
    const brought = broughtLayers(named.namespace, node.chain, context);
    const isThere = (child: Digest): boolean => brought.has(child) || nodes.get(child)?.isPresent === true;
    const absent = node.children.filter((child) => !isThere(child.digest));
    const { length } = node.children;
    const isWhole = isIndexType(node.descriptor.mediaType)
      ? length === 0 || node.children.some((child) => complete.has(child.digest))
      : absent.length === 0;
    if (!isWhole) for (const child of absent) missing.add(child.digest);
    if (node.failure !== undefined) unusable ??= node.failure;
    else if (isWhole) complete.add(digest);
  }
  const { digest: target } = named.image.target;
  if (nodes.get(target)?.isPresent === false) missing.add(target);
  const chains = [...nodes.values()].flatMap(({ chain }) => (chain === undefined ? [] : [chain]));
  return { ...named, digests: new Set(nodes.keys()), missing: [...missing], unusable, chains };
}

/**
 * The layers that need not be stored: where an image has them, there is the snapshot, and it came without its blob
 * (U-MD.13, U-SNX.5). Such an image can be run, but not pushed.
 */
function broughtLayers(namespace: string, chain: Chain | undefined, { isBrought }: NeedsContext): ReadonlySet<Digest> {
  const brought = new Set(chain?.layers);
  for (const [index, layer] of chain?.layers.entries() ?? []) {
    const name = chain?.names[index];
    if (name === undefined || !isBrought(namespace, name)) brought.delete(layer);
  }
  return brought;
}

interface Survey {
  readonly nodes: ReadonlyMap<Digest, Node>;
  /** Children before their parents. */
  readonly bottomUp: readonly Digest[];
  readonly failure: string | undefined;
}

/** Without recursion, and each blob once: indexes can be nested, and name the same few blobs again and again. */
async function survey({ namespace, image }: NamedImage, context: NeedsContext): Promise<Survey> {
  const nodes = new Map<Digest, Node>();
  const bottomUp: Digest[] = [];
  const stack: { readonly descriptor: Descriptor; readonly isDone: boolean }[] = [];
  stack.push({ descriptor: image.target, isDone: false });
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { descriptor, isDone } = next;
    if (isDone) bottomUp.push(descriptor.digest);
    if (isDone || nodes.has(descriptor.digest)) continue;
    if (nodes.size >= maxDescriptors) {
      return { nodes, bottomUp, failure: `it has more than ${maxDescriptors} descriptors` };
    }
    await context.breathe();
    const node = await nodeOf(namespace, descriptor, context);
    nodes.set(descriptor.digest, node);
    stack.push({ descriptor, isDone: true });
    for (const child of node.children) stack.push({ descriptor: child, isDone: false });
  }
  return { nodes, bottomUp, failure: undefined };
}

async function nodeOf(namespace: string, descriptor: Descriptor, context: NeedsContext): Promise<Node> {
  const { mediaType, digest } = descriptor;
  const isPresent = context.has(namespace, digest) || useInlineData(descriptor) !== undefined;
  const isDocument = isIndexType(mediaType) || isManifestType(mediaType) || isSchema1Type(mediaType);
  if (!isPresent || !isDocument) return { ...nothing, descriptor, isPresent };
  const known = context.documents.get(digest) ?? (await read(descriptor, context));
  context.documents.set(digest, known);
  const config = known.children[0];
  // The config may be there for one namespace and not for another.
  const hasConfig = config !== undefined && context.has(namespace, config.digest);
  return { ...known, chain: hasConfig ? known.chain : undefined, descriptor, isPresent };
}

async function read(descriptor: Descriptor, context: NeedsContext): Promise<Document> {
  const { content, signal } = context;
  try {
    const children = await childrenOf(content, descriptor, { signal });
    const chain = isIndexType(descriptor.mediaType) ? undefined : await chainOf(children, context);
    return { children, chain };
  } catch (error) {
    signal?.throwIfAborted();
    // Removed by somebody, or damaged: either is told by itself.
    if (hasCode(error, "ERR_NOT_FOUND") || (await context.isDamaged(descriptor.digest))) return nothing;
    if (!isCoded(error)) throw error;
    return { ...nothing, failure: error.message };
  }
}

/** A config that cannot be read tells nothing of what the layers unpack to. */
async function chainOf(
  [config, ...layers]: readonly Descriptor[],
  { content, signal, isDamaged }: NeedsContext,
): Promise<Chain | undefined> {
  if (config === undefined || !isConfigType(config.mediaType)) return undefined;
  try {
    const { rootfs } = parseImageConfig(await readBlob(content, config, { signal }), config);
    if (rootfs.diff_ids.length !== layers.length) return undefined;
    return { layers: layers.map(({ digest }) => digest), names: chainIds(rootfs.diff_ids) };
  } catch (error) {
    signal?.throwIfAborted();
    if (isCoded(error) || (await isDamaged(config.digest))) return undefined;
    throw error;
  }
}
