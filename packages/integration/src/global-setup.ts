import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildCorpus, missingPrograms, pushCorpus, startDockerRegistry } from "@varve-tools/corpus";
import type { Corpus } from "@varve-tools/corpus";
import type { TestProject } from "vitest/node";
import { useScratchDisk } from "./scratch-disk.ts";

/** What every integration test is given. */
export interface Environment {
  /** Why the tests cannot run here; absent when they can. */
  readonly missing?: string | undefined;
  readonly registry: string;
  readonly corpus: Corpus;
}

declare module "vitest" {
  interface ProvidedContext {
    environment: Environment;
  }
}

const programs = ["docker-registry", "skopeo", "umoci", "mmdebstrap", "setcap", "setfattr", "zstd"];

/**
 * Builds the images (into `VARVE_CORPUS`, if that is set, so that a second run is quick) and pushes each of them to
 * docker-registry in every form that images have in the wild.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const missing = await whatIsMissing();
  if (missing !== undefined) {
    project.provide("environment", { missing, registry: "", corpus: { debian: "", app: "" } });
    return async () => undefined;
  }
  const dropScratch = await useScratchDisk();
  const kept = process.env["VARVE_CORPUS"];
  const directory = kept ?? (await mkdtemp(join(tmpdir(), "varve-corpus-")));
  await mkdir(directory, { recursive: true });
  const corpus = await buildCorpus(directory);
  const registry = await startDockerRegistry();
  try {
    await pushCorpus(corpus, registry.host);
  } catch (error) {
    await registry.close();
    await dropScratch();
    throw error;
  }
  project.provide("environment", { registry: registry.host, corpus });
  return async () => {
    await registry.close();
    if (kept === undefined) await rm(directory, { recursive: true, force: true });
    await dropScratch();
  };
}

async function whatIsMissing(): Promise<string | undefined> {
  if (process.geteuid?.() !== 0) return "needs root";
  const absent = await missingPrograms(programs);
  return absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`;
}
