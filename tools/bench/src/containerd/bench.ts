import { join } from "node:path";
import { temporaryDirectory } from "@varve-tools/corpus";
import { findContainerds, startDaemon } from "../containerd-daemon.ts";
import type { Containerd } from "../containerd-daemon.ts";
import { measure } from "../measure.ts";
import type { Cost } from "../measure.ts";
import { isWanted } from "../options.ts";
import type { BenchOptions } from "../options.ts";
import { serveImages } from "../pull/image-server.ts";
import { installVarve } from "../pull/installed-varve.ts";
import type { InstalledVarve } from "../pull/installed-varve.ts";
import { formatResults } from "../pull/results.ts";
import { rounds } from "../pull/rounds.ts";
import { openStore } from "../store.ts";
import { serveBackends } from "./served-backends.ts";

/** What unpacks for containerd: one of its own, or ours as its proxy plugin. */
interface Line {
  readonly name: string;
  readonly snapshotter: string;
  /** Whether the content store is ours, too. */
  readonly content?: boolean | undefined;
}

const lines: readonly Line[] = [
  { name: "overlayfs, its own", snapshotter: "overlayfs" },
  { name: "varve-overlay", snapshotter: "varve-overlay" },
  { name: "varve-overlay and our content store", snapshotter: "varve-overlay", content: true },
  { name: "native, its own", snapshotter: "native" },
  { name: "varve-native", snapshotter: "varve-native" },
];

/** Pulls images by `ctr images pull` with containerd's own snapshotters and with ours behind it, and prints what that cost. */
export async function benchContainerd(images: readonly string[], { runs = 5, only }: BenchOptions): Promise<void> {
  if (process.geteuid?.() !== 0) throw new Error("bench: needs root, to make a file system for each run");
  const containerds = await findContainerds();
  if (containerds.length === 0) throw new Error("bench: not installed: containerd");
  await using directory = await temporaryDirectory();
  const varve = await installVarve(directory.path);
  await using server = await serveImages(process.env["VARVE_CORPUS"] ?? join(directory.path, "corpus"));
  await using store = await openStore(directory.path, 8);
  for (const image of images.length === 0 ? ["debian", "node-app"] : images) {
    const reference = await server.reference(image, "gzip");
    for (const containerd of containerds) {
      const measured = lines
        .filter(({ name }) => isWanted(name, only))
        .map((line) => ({
          name: line.name,
          run: (fresh: string) => pullThrough(containerd, varve, line, { reference, root: fresh }),
        }));
      const title = `${image}, gzip, containerd ${containerd.version}`;
      console.log(`${formatResults(title, await rounds(measured, store, runs))}\n`);
    }
  }
}

async function pullThrough(
  containerd: Containerd,
  varve: InstalledVarve,
  { snapshotter, content = false }: Line,
  { reference, root }: { readonly reference: string; readonly root: string },
): Promise<Cost> {
  const isOurs = snapshotter.startsWith("varve-");
  const backends = isOurs ? await serveBackends(varve, root) : undefined;
  try {
    const configuration = backends?.configuration({ snapshotter, content });
    const daemon = await startDaemon(containerd, { root: join(root, "containerd"), snapshotter, ...configuration });
    try {
      const command = [...daemon.client, "images", "pull", "--plain-http", "--snapshotter", snapshotter, reference];
      return await measure(command, {}, [daemon.pid, ...(backends === undefined ? [] : [backends.pid])]);
    } finally {
      await daemon.close();
    }
  } finally {
    await backends?.close();
  }
}
