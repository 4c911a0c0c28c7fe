import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { missingPrograms, temporaryDirectory } from "@varve-tools/corpus";
import { contentStoreCases, describeContentStore } from "@varve/content-conformance";
import { describeSnapshotter, snapshotterCases } from "@varve/snapshots-conformance";
import type { TestFunction } from "@varve/snapshots-conformance";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { disagreements, disagreementsOf } from "../src/containerd/disagreements.ts";
import type { ContainerdStore } from "../src/containerd/disagreements.ts";
import { openPlace } from "../src/containerd/open-place.ts";
import { startContainerd } from "../src/containerd/started-containerd.ts";
import type { StartedContainerd } from "../src/containerd/started-containerd.ts";
import { environment } from "../src/images-under-test.ts";
import { realMounts } from "../src/real-mounts.ts";

const absent = await missingPrograms(["containerd", "ctr"]);
const missing = environment.missing ?? (absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`);
const why = missing === undefined ? "" : `: ${missing}`;

// Or a blob that another case has stored would be there already.
const config = `[plugins."io.containerd.metadata.v1.bolt"]
content_sharing_policy = "isolated"
`;

describe.skipIf(missing !== undefined)(`the stores of a containerd under our suites (privileged${why})`, () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let containerd: StartedContainerd;

  beforeAll(async () => {
    directory = await temporaryDirectory();
    containerd = await startContainerd({ directory: join(directory.path, "containerd"), config });
  });
  afterAll(async () => {
    await containerd.close();
    await directory[Symbol.asyncDispose]();
  });

  describeContentStore("of containerd", {
    describe,
    it: itBut("content"),
    lacks: ["follow", "quarantine", "takeover"],
    open: (place) => openPlace(containerd.address, `content-${place}`, ({ content }) => content),
  });

  describeSnapshotter("overlayfs of containerd", {
    describe,
    it: itBut("overlayfs"),
    ...realMounts,
    lacks: ["directory-rename", "rebase", "check", "check-changes", "id-mapping"],
    open: (place) => openPlace(containerd.address, `overlayfs-${place}`, (leased) => leased.snapshotter("overlayfs")),
  });

  describeSnapshotter("native of containerd", {
    describe,
    it: itBut("native"),
    ...realMounts,
    lacks: ["rebase", "check", "check-changes", "id-mapping"],
    open: (place) => openPlace(containerd.address, `native-${place}`, (leased) => leased.snapshotter("native")),
  });
});

test("every disagreement is one about a case, and people can read about it", async () => {
  const cases = {
    content: contentStoreCases.map(({ name }) => name),
    overlayfs: snapshotterCases.map(({ name }) => name),
    native: snapshotterCases.map(({ name }) => name),
  };
  const text = await readFile(join(import.meta.dirname, "../../../docs/containerd-differences.md"), "utf8");
  // Its tables are aligned.
  const page = text.replaceAll(/ +/g, " ");
  for (const { name, stores, kind, why: reason } of disagreements) {
    for (const store of stores) expect(cases[store]).toContain(name);
    expect(page).toContain(`| ${name} | ${stores.join(", ")} | ${kind} | ${reason} |`);
  }
});

/** A case that containerd is known not to keep has to fail, or it is no disagreement any more. */
function itBut(store: ContainerdStore): TestFunction {
  const known = disagreementsOf(store);
  const register = (name: string, run: () => Promise<void>): unknown => {
    const as = known.has(name) ? it.fails : it;
    return as(name, run);
  };
  return Object.assign(register, { skip: it.skip });
}
