import { join } from "node:path";
import { parseArgs } from "node:util";
import { isLayerForm } from "@varve-tools/corpus";
import { benchContainerd } from "./containerd/bench.ts";
import { contentSections } from "./content/sections.ts";
import { benchFetch } from "./fetch/bench.ts";
import { benchLayers } from "./layer/bench.ts";
import { benchLayerStore } from "./layer-store/bench.ts";
import { benchPull } from "./pull/bench.ts";
import { benchSections } from "./sections/bench-sections.ts";
import { benchSnapshots } from "./snapshots/bench.ts";

const usage = `usage: npm run bench -- pull [IMAGE…] [--form FORM] [--runs N] [--only TEXT]
       npm run bench -- content [--runs N] [--only TEXT]
       npm run bench -- snapshots [--runs N] [--only TEXT]
       npm run bench -- layer [--runs N] [--only TEXT]
       npm run bench -- layers [--runs N] [--only TEXT]
       npm run bench -- fetch [--runs N] [--only TEXT]
       npm run bench -- containerd [IMAGE…] [--runs N] [--only TEXT]
  IMAGE   debian, node-app, big-file, many-layers, layers-100 or layers-500, which are built and served here, or
          HOST:PORT/NAME:TAG by http; without one the first four, and what a layer costs
  --form  gzip, zstd or plain; may be given again
  --only  lines whose name holds TEXT; may be given again. Of a pull: "pull: varve", "containerd", "again", "layers: podman";
          "native" is measured only if asked for`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: "string" },
    only: { type: "string", multiple: true },
    form: { type: "string", multiple: true, default: ["gzip"] },
  },
});
const [verb, ...images] = positionals;
const options = { runs: values.runs === undefined ? undefined : Number(values.runs), only: values.only };
const forms = values.form.filter((form) => isLayerForm(form));
const isAlone = images.length === 0;
if (verb === "pull" && forms.length === values.form.length) await benchPull(images, { ...options, forms });
else if (verb === "content" && isAlone) {
  await benchSections({ sections: contentSections, program: join(import.meta.dirname, "content/task.ts") }, options);
} else if (verb === "snapshots" && isAlone) await benchSnapshots(options);
else if (verb === "layer" && isAlone) await benchLayers(options);
else if (verb === "layers" && isAlone) await benchLayerStore(options);
else if (verb === "containerd") await benchContainerd(images, options);
else if (verb === "fetch" && isAlone) await benchFetch(options);
else {
  console.error(usage);
  process.exitCode = 2;
}
