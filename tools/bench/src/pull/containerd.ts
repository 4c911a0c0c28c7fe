import { join } from "node:path";
import { missingPrograms } from "@varve-tools/corpus";
import { findContainerds, startDaemon } from "../containerd-daemon.ts";
import type { Containerd } from "../containerd-daemon.ts";
import type { Contender } from "./contender.ts";
import { measure } from "../measure.ts";

/** Every containerd there is, with each gunzip that it would take. */
export async function containerdContenders(): Promise<Contender[]> {
  const missing = await missingPrograms(["igzip", "unpigz"]);
  return (await findContainerds()).flatMap((containerd) => {
    // Versions before 2.0 know unpigz only.
    const known = Number(containerd.version.split(".")[0]) >= 2 ? ["igzip", "unpigz"] : ["unpigz"];
    return withGunzips(
      containerd,
      known.filter((name) => !missing.includes(name)),
    );
  });
}

function withGunzips(containerd: Containerd, gunzips: readonly string[]): Contender[] {
  const name = `containerd ${containerd.version} overlay`;
  return [
    ...gunzips.map((gunzip) => contender({ name: `${name} ${gunzip}`, forms: ["gzip"] }, containerd, gunzip)),
    contender({ name: `${name} go`, forms: ["gzip"] }, containerd),
    contender({ name, forms: ["zstd", "plain"] }, containerd),
  ];
}

/** A daemon of its own for each run, with `gunzip` as the helper that it may find. */
function contender(what: Pick<Contender, "name" | "forms">, containerd: Containerd, gunzip?: string): Contender {
  return {
    ...what,
    takesManyLayers: true,
    async pull(reference, store) {
      const daemon = await startDaemon(containerd, { root: join(store, "containerd"), gunzip });
      try {
        const options = ["--plain-http", "--snapshotter", "overlayfs"];
        return await measure([...daemon.client, "images", "pull", ...options, reference], {}, [daemon.pid]);
      } finally {
        await daemon.close();
      }
    },
  };
}
