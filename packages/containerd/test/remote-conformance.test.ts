import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectContainerd, serveContainerd } from "@varve/containerd";
import { describeContentStore } from "@varve/content-conformance";
import { createMemoryContentStore } from "@varve/content-memory";
import { describeSnapshotter } from "@varve/snapshots-conformance";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { afterAll, beforeAll, describe, it } from "vitest";
import { closedWith } from "./closed-with.ts";

const closing: (() => Promise<void>)[] = [];
/** What each place of a suite is served at. */
const addresses = new Map<string, Promise<string>>();
let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "varve-remote-"));
});

afterAll(async () => {
  for (const close of closing) await close();
  await rm(directory, { recursive: true });
});

describeContentStore("in memory, served and connected to", {
  describe,
  it,
  // A writer learns that it has lost its ref when its next bytes are answered, not when it hands them over.
  lacks: ["follow", "quarantine", "takeover"],
  async open(place, options) {
    const address = await addressOf(`content ${place}`, async (path) => {
      const content = createMemoryContentStore(options);
      closing.push(() => content.close());
      return serveContainerd({ address: path, content });
    });
    const containerd = connectContainerd({ address });
    return closedWith(containerd.content, containerd);
  },
});

/** Over the wire a label with an empty value is one that is to be removed. */
const unsayable = "an update changes the labels it names and nothing else";

describeSnapshotter("native, served and connected to", {
  describe,
  it: Object.assign(
    (name: string, run: () => Promise<void>): unknown => {
      const as = name === unsayable ? it.fails : it;
      return as(name, run);
    },
    { skip: it.skip },
  ),
  lacks: ["check", "check-changes", "rebase"],
  async open(place) {
    const address = await addressOf(`snapshots ${place}`, async (path) => {
      const native = await openNativeSnapshotter({
        root: join(directory, `native-${addresses.size}`),
        durability: "none",
      });
      closing.push(() => native.close());
      return serveContainerd({ address: path, snapshotters: { native } });
    });
    const containerd = connectContainerd({ address });
    return closedWith(containerd.snapshotter("native"), containerd);
  },
});

function addressOf(place: string, serve: (path: string) => Promise<{ close(): Promise<void> }>): Promise<string> {
  const known = addresses.get(place);
  if (known !== undefined) return known;
  const path = join(directory, String(addresses.size));
  const served = serve(path).then((server) => {
    closing.unshift(() => server.close());
    return path;
  });
  addresses.set(place, served);
  return served;
}
