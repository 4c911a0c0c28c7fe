import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeContentStore } from "@varve/content-conformance";
import { openContentStore } from "@varve/content-fs";
import { afterAll, describe, it } from "vitest";

const base = mkdtempSync(join(tmpdir(), "varve-content-fs-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

describeContentStore("fs", {
  describe,
  it,
  lacks: ["labels"],
  open: (place, { stallMs }) => openContentStore({ root: join(base, place), stallMs }),
});
