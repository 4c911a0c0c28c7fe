import type { LayerForm } from "@varve-tools/corpus";
import type { PullBench } from "./pull-bench.ts";
import { plainVarve, varveContender } from "./varve.ts";

/** A pull that does not count: the code is compiled, and the registry has the image in memory. Resolves to its reference. */
export async function warmUp({ varve, server, store }: PullBench, image: string, form: LayerForm): Promise<string> {
  const reference = await server.reference(image, form);
  await varveContender(varve, plainVarve).pull(reference, await store.fresh());
  return reference;
}
