import { type LayerWriterOptions, settleLayer } from "@varve/archive";
import { type Layer, readTree, type Tree } from "@varve-tools/hostile-layers";
import { lgetxattr, llistxattr } from "@varve/syscalls";
import { apply, type Sandbox } from "./sandbox.ts";

type Limits = LayerWriterOptions["limits"];

/** Applies some layers, and shows what came of them; throws what the engine throws. */
type Way = (box: Sandbox, layers: readonly Layer[], limits: Limits) => Tree;

/** What a tree has, extended attributes too. */
function look(root: string): Tree {
  return readTree(root, (path) =>
    llistxattr(path).map((name) => [name.toString("latin1"), lgetxattr(path, name)] as const),
  );
}

/** All layers in one directory. */
const inPlace: Way = (box, layers, limits) => {
  const root = box.directory();
  for (const { bytes } of layers) apply(bytes, root, { limits });
  return look(root);
};

/** Each before the others are there, and asked about them afterwards. */
const staged: Way = (box, layers, limits) => {
  const uppers = layers.map(({ bytes }) => {
    const upper = box.directory();
    return { bytes, upper, questions: apply(bytes, upper, { target: "overlay", limits }).questions };
  });
  const done: string[] = [];
  for (const { bytes, upper, questions } of uppers) {
    if (questions === undefined) throw new Error("no questions");
    const lower = done.length === 0 ? undefined : box.overlay(done);
    const { redo } = settleLayer(upper, lower, structuredClone(questions));
    done.push(redo ? throughMount(box, done, bytes, limits) : upper);
  }
  return look(box.overlay(done));
};

export const ways: Readonly<Record<"in place" | "staged", Way>> = { "in place": inPlace, staged };

/** The layer cannot be told apart from those below it, and is applied to the mounted overlay. */
function throughMount(box: Sandbox, lowers: readonly string[], bytes: Buffer, limits: Limits): string {
  const upper = box.directory();
  const merged = box.overlay(lowers, upper);
  apply(bytes, merged, { limits });
  box.unmount(merged);
  return upper;
}
