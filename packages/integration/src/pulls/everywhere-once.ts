// node everywhere-once.ts DIRECTORY
// Unpacks an image full of whiteouts in every way, and prints a line for all that was not the same, or is not what it must be.
import { writeSync } from "node:fs";
import { dir, file, hardlink, layerOf, opaque, symlink, whiteout } from "../layers/layer-of.ts";
import { differences } from "./differences.ts";
import { forms, Shelf } from "./shelf.ts";
import { openWays } from "./way.ts";

const [directory = ""] = process.argv.slice(2);

const layers = [
  [
    dir("d"),
    file("d/a", "a"),
    file("d/b", "b"),
    dir("e"),
    file("e/a", "a"),
    file("f", "f"),
    symlink("l", "e"),
    file("g", "g"),
  ],
  [whiteout("d/a"), opaque("e"), file("e/new", "new"), whiteout("f"), whiteout("nothing"), dir("g"), file("g/x", "x")],
  [whiteout("d"), file("l/through", "through"), hardlink("h", "e/new"), file("f", "again")],
  [dir("d"), file("d/c", "c"), whiteout("g/x"), whiteout("h")],
];
const expected = ["", "d", "d/c", "e", "e/new", "e/through", "f", "g", "l"];

const shelf = new Shelf(() => 0.5);
const image = shelf.image(
  layers.map((items, index) => shelf.layer(layerOf(items), forms[index % forms.length] ?? "gzip")),
);
const ways = await openWays(directory, () => shelf.resolver());
const [plainest, ...others] = ways;
const plain = await plainest.pull(image);
const tree = [...plain.trees].at(0)?.[1];
const problems = [...(plain.error ?? []), ...plain.left];
const paths = [...(tree?.keys() ?? [])].toSorted();
if (String(paths) !== String(expected)) problems.push(`the tree is ${paths.join(" ")}`);
for (const way of others) {
  const found = differences(await way.pull(image), plain, {
    sameSnapshotter: way.snapshotter === plainest.snapshotter,
  });
  problems.push(...found.map((line) => `${way.name}: ${line}`));
}
for (const way of ways) await way[Symbol.asyncDispose]();
writeSync(1, JSON.stringify({ problems, ways: ways.length }));
