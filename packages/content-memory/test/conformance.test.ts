import { describeContentStore } from "@varve/content-conformance";
import { createMemoryContentStore } from "@varve/content-memory";
import { describe, it } from "vitest";

describeContentStore("memory", {
  describe,
  it,
  lacks: ["reopen"],
  open: (_, options) => createMemoryContentStore(options),
});
