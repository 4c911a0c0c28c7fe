import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { describeSnapshotter } from "@varve/snapshots-conformance";
import { toyOpener } from "./toy-opener.ts";
import { toyLayers } from "./toy.ts";

// Run by node-test.test.ts, under the other runner.
const base = mkdtempSync(join(tmpdir(), "varve-node-test-"));
after(() => rmSync(base, { recursive: true, force: true }));

describeSnapshotter("toy under node:test", {
  describe,
  it,
  lacks: ["rebase"],
  layers: { committed: toyLayers.committed },
  open: toyOpener(base),
});
