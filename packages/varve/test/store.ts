import { putImage, startRegistry } from "@varve-tools/test-registry";
import type { Files, TestRegistry } from "@varve-tools/test-registry";
import type { PullResult } from "@varve/client";
import type { Outcome, RunOptions } from "./command.ts";
import { parsed, varve } from "./command.ts";
import { tempDirectory } from "./temp.ts";

/** A store of its own, and a registry to fill it from. */
export interface TestStore extends AsyncDisposable {
  readonly path: string;
  readonly registry: TestRegistry;
  /** Runs `varve` on this store, without progress. */
  run(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** The one object that `varve … --json` prints, of a run that ends with 0. */
  json(...args: readonly string[]): Promise<unknown>;
  /** Pulls an image of these layers under this name. */
  pull(name: string, layers: readonly Files[]): Promise<PullResult>;
}

export async function testStore(): Promise<TestStore> {
  const temp = await tempDirectory();
  const registry = await startRegistry();
  const common = ["--root", temp.path, "--snapshotter", "native", "--progress", "none"];
  const run: TestStore["run"] = (args, options) => varve([...common, ...args], options);
  const json: TestStore["json"] = async (...args) => {
    const outcome = await run([...args, "--json"]);
    if (outcome.code !== 0) throw new Error(`varve ${args.join(" ")}: ${outcome.stderr}`);
    return parsed(outcome);
  };
  return {
    path: temp.path,
    registry,
    run,
    json,
    pull: async (name, layers) => {
      const reference = await registry.tag(name, await putImage(registry.content, layers));
      return (await json("pull", reference)) as PullResult;
    },
    [Symbol.asyncDispose]: async () => {
      await registry[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

/** Where a blob of the store is kept. */
export function blobPath(store: Pick<TestStore, "path">, digest: string): string {
  const [algorithm = "", hex = ""] = digest.split(":");
  return `${store.path}/content/blobs/${algorithm}/${hex}`;
}
