import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchOptions } from "../options.ts";
import { benchSections } from "../sections/bench-sections.ts";
import { startBenchRegistry } from "./registry.ts";
import { fetchSections } from "./sections.ts";

/** Fetches from docker-registry on loopback, beside curl and skopeo, and prints a table of each. */
export async function benchFetch(options: BenchOptions): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "varve-bench-fetch-"));
  try {
    // A clone runs TypeScript, whose types are stripped by each thread anew; what is installed has none.
    process.env["NODE_COMPILE_CACHE"] = join(directory, "compiled");
    await using registry = await startBenchRegistry();
    console.error(`docker-registry on ${registry.host}`);
    const program = join(import.meta.dirname, "task.ts");
    await benchSections({ sections: fetchSections, program, programs: ["curl", "openssl", "skopeo"] }, options);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
