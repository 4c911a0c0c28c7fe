import { join } from "node:path";
import { missingPrograms, temporaryDirectory } from "@varve-tools/corpus";
import type { LayerForm } from "@varve-tools/corpus";
import { isWanted } from "../options.ts";
import type { BenchOptions } from "../options.ts";
import { openStore } from "../store.ts";
import { formatAgain } from "./again.ts";
import { containerdContenders } from "./containerd.ts";
import { containersToolsContenders } from "./containers-tools.ts";
import type { Contender } from "./contender.ts";
import { floorContenders } from "./floor.ts";
import { serveImages } from "./image-server.ts";
import { installVarve } from "./installed-varve.ts";
import type { InstalledVarve } from "./installed-varve.ts";
import { formatLayerCost } from "./layer-cost.ts";
import type { ImageInForm, PullBench } from "./pull-bench.ts";
import { formatResults } from "./results.ts";
import { rounds } from "./rounds.ts";
import { warmUp } from "./warm-up.ts";
import { varveContender, varveSettings } from "./varve.ts";

const headline = ["debian", "node-app", "big-file", "many-layers"];

export interface PullBenchOptions extends BenchOptions {
  /** Default: gzip alone. */
  readonly forms?: readonly LayerForm[] | undefined;
}

/** Pulls images with everything that can, and prints what that cost. Without names: the images of the headline, and what a layer costs. */
export async function benchPull(
  images: readonly string[],
  { runs = 5, only, forms = ["gzip"] }: PullBenchOptions,
): Promise<void> {
  await mustBeAble();
  await using directory = await temporaryDirectory();
  const varve = await installVarve(directory.path);
  await using server = await serveImages(process.env["VARVE_CORPUS"] ?? join(directory.path, "corpus"));
  await using store = await openStore(directory.path, 8);
  const bench: PullBench = { varve, server, store, runs };
  const contenders = await available(varve);
  const asked = (section: string): Contender[] =>
    contenders.filter((contender) => isAsked(section, contender, only ?? [""]));
  console.log("varve is built, packed and installed, and started by its bin/varve.js; compiled code is cached.\n");
  const pulled = (images.length === 0 ? headline : images).flatMap((image) => forms.map((form) => ({ image, form })));
  for (const { image, form } of pulled) {
    const able = asked("pull").filter((contender) => contender.forms?.includes(form) !== false);
    if (able.length > 0) console.log(`${await formatPull(bench, able, { image, form })}\n`);
  }
  if (isWanted("again: varve", only)) console.log(`${await formatAgain(bench, pulled)}\n`);
  const perLayer = images.length === 0 ? asked("layers").filter(({ takesManyLayers }) => takesManyLayers) : [];
  if (perLayer.length > 0) console.log(await formatLayerCost(bench, perLayer));
}

async function formatPull(
  bench: PullBench,
  contenders: readonly Contender[],
  { image, form }: ImageInForm,
): Promise<string> {
  const reference = await warmUp(bench, image, form);
  const lines = contenders.map(({ name, pull }) => ({ name, run: (fresh: string) => pull(reference, fresh) }));
  return formatResults(`${image}, ${form}`, await rounds(lines, bench.store, bench.runs));
}

async function mustBeAble(): Promise<void> {
  const missing = await missingPrograms(["curl", "openssl", "jq", "mkfs.ext4", "losetup", "/usr/bin/time"]);
  if (process.geteuid?.() !== 0) throw new Error("bench: needs root, to make a file system for each run");
  if (missing.length > 0) throw new Error(`bench: not installed: ${missing.join(", ")}`);
}

async function available(varve: InstalledVarve): Promise<Contender[]> {
  const settings = await varveSettings(varve);
  return [
    ...settings.map((setting) => varveContender(varve, setting)),
    ...(await containerdContenders()),
    ...(await containersToolsContenders()),
    ...(await floorContenders()),
  ];
}

function isAsked(section: string, { name, askedBy = "" }: Contender, only: readonly string[]): boolean {
  return only.some((text) => text.includes(askedBy)) && isWanted(`${section}: ${name}`, only);
}
