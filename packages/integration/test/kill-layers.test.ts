import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listed } from "../src/faults/listed.ts";
import { whyNoFaults } from "../src/faults/missing.ts";
import { twoAtATime } from "../src/faults/parallel.ts";
import { openSnapshots, upperOf } from "../src/faults/snapshot-world.ts";
import { environment } from "../src/images-under-test.ts";
import { layerBlobs } from "../src/layers/layer-blobs.ts";
import { dir, file, hardlink, layerOf, symlink } from "../src/layers/layer-of.ts";
import { everyNth, thorough } from "../src/rounds.ts";
import { compareTrees, readTree } from "../src/tree.ts";
import type { TreeEntry } from "../src/tree.ts";

const missing = environment.missing ?? (await whyNoFaults(["strace"]));
const program = join(import.meta.dirname, "../src/layers/unpack-once.ts");
type Backend = "native" | "overlay";
/** Not how long it may take, but when it hangs: two minutes on a quiet machine when thorough. */
const timeout = 1_800_000;

interface Kill {
  /** Right before a thread calls this for the so-manieth time. */
  readonly call: string;
  readonly at: number;
  readonly layer: "debian" | "small";
}

/** Each entry has its times set last, so that these come after the first, the second, … */
const afterEntries = (counts: readonly number[], layer: Kill["layer"]): Kill[] =>
  counts.map((at) => ({ call: "utimensat", at, layer }));
const kills: readonly Kill[] = [
  ...afterEntries(
    Array.from({ length: 50 }, (_, index) => index + 1),
    "small",
  ),
  // The directories, whose times come when everything is there.
  ...afterEntries([62, 64, 65], "small"),
  ...["openat2", "fchown,fchownat", "fchmod", "pwrite64"].flatMap((call) =>
    [1, 7].map((at) => ({ call, at, layer: "small" as const })),
  ),
  ...afterEntries([1000, 5000], "debian"),
];
/** Those that are not alike, and every eighth of the others. */
const someKills: readonly Kill[] = [...everyNth(kills.slice(0, 50), 8), ...kills.slice(50, 62)];

const small = layerOf([
  dir("d"),
  ...Array.from({ length: 58 }, (_, at) => ({ ...file(`d/${at % 5}/f${at}`, "x".repeat(at * 997)), uid: at })),
  symlink("d/l", "0/f0"),
  hardlink("d/h", "d/1/f1"),
  { name: "d/p", type: "fifo" },
]);

let base = "";
const expected = new Map<string, Promise<Map<string, TreeEntry>>>();

function layerFile(layer: string): string {
  return join(base, `${layer}.tar`);
}

/** Unpacks in a process of its own. @returns whether it came to its end; if not, it was killed */
async function unpack(backend: Backend, root: string, layer: string, tracer: readonly string[] = []): Promise<boolean> {
  const [name = "env", ...options] = tracer;
  const env = { NODE_COMPILE_CACHE: join(base, "compiled") };
  try {
    await exec(name, [...options, process.execPath, program, backend, root, layerFile(layer)], env);
    return true;
  } catch (error) {
    if (error instanceof Error && "signal" in error && error.signal === "SIGKILL") return false;
    throw error;
  }
}

/** What is committed, and the tree of it. */
async function inspect(backend: Backend, root: string): Promise<{ committed: string[]; tree: Map<string, TreeEntry> }> {
  await using snapshots = await openSnapshots({ backend, durability: "none" }, root);
  const all = await listed(snapshots.walk());
  const committed = all.filter(({ kind }) => kind === "committed").map(({ name }) => name);
  if (committed.length === 0) return { committed, tree: new Map() };
  // An upper directory on a single committed layer is a directory of its own: what is below it is the layer.
  const mounts = await snapshots.view("view", "layer");
  const tree = readTree(mounts[0]?.source ?? upperOf(mounts));
  await snapshots.remove("view");
  return { committed, tree };
}

/** What it comes to without a kill. */
async function expectedTree(backend: Backend, layer: string): Promise<Map<string, TreeEntry>> {
  const known = expected.get(`${backend} ${layer}`);
  if (known !== undefined) return known;
  const root = join(base, `expected-${backend}-${layer}`);
  mkdirSync(root);
  const tree = unpack(backend, root, layer).then(async () => (await inspect(backend, root)).tree);
  expected.set(`${backend} ${layer}`, tree);
  return tree;
}

beforeAll(async () => {
  if (missing !== undefined) return;
  base = mkdtempSync(join(tmpdir(), "varve-kill-layers-"));
  writeFileSync(layerFile("small"), small);
  writeFileSync(layerFile("debian"), (await layerBlobs(environment.corpus.debian))[0] ?? "");
});

afterAll(() => {
  if (base !== "") rmSync(base, { recursive: true, force: true });
});

// K10
describe.skipIf(missing !== undefined)(
  `a process killed while it unpacks a layer (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test.each([
      { backend: "overlay", points: thorough ? kills : someKills },
      {
        backend: "native",
        points: everyNth(
          kills.filter((_, index) => index % 8 === 0),
          3,
        ),
      },
    ] as const)(
      "$backend: nothing is committed, and the next one gives the whole tree",
      { timeout },
      async ({ backend, points }) => {
        let killed = 0;
        const problems: string[] = [];
        await twoAtATime(points.entries(), async ([index, { call, at, layer }]) => {
          const root = join(base, `${backend}-${index}`);
          mkdirSync(root);
          const inject = `inject=${call}:signal=SIGKILL:when=${at}`;
          // Without --seccomp-bpf: with it, threads that start later are not killed.
          const tracer = ["strace", "-f", "-o", "/dev/null", "-e", `trace=${call}`, "-e", inject];
          const what = `${layer}, ${call} ${at}`;
          if (await unpack(backend, root, layer, tracer)) {
            problems.push(`${what}: was not killed`);
            return;
          }
          killed += 1;
          const { committed } = await inspect(backend, root);
          if (committed.length > 0) problems.push(`${what}: committed: ${committed.join(", ")}`);
          // Of many that are alike, one in eight: the next one takes as long as all the rest.
          if (thorough && call === "utimensat" && layer === "small" && index % 8 !== 0) return;
          if (!(await unpack(backend, root, layer))) problems.push(`${what}: the next one was killed`);
          const { tree } = await inspect(backend, root);
          const differences = compareTrees(tree, await expectedTree(backend, layer));
          problems.push(...differences.slice(0, 5).map((line) => `${what}: ${line}`));
          rmSync(root, { recursive: true });
        });
        process.stdout.write(`${backend}: ${killed} kills\n`);
        expect(problems).toEqual([]);
        expect(killed).toBe(points.length);
      },
    );
  },
);
