import { parseArgs } from "node:util";
import { benchContent } from "./content/bench.ts";
import { benchPull } from "./pull.ts";

const usage = `usage: npm run bench -- pull IMAGE [--runs N] [--only TEXT]
       npm run bench -- content [--runs N] [--only TEXT]
  IMAGE   debian or app, which are built and served here, with a tag (debian:oci-gzip), or HOST:PORT/NAME:TAG by http
  --only  lines whose name holds TEXT; may be given again`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: "string" }, only: { type: "string", multiple: true } },
});
const [verb, image] = positionals;
const options = { runs: values.runs === undefined ? undefined : Number(values.runs), only: values.only };
if (verb === "pull" && image !== undefined) await benchPull(image, options);
else if (verb === "content" && image === undefined) await benchContent(options);
else {
  console.error(usage);
  process.exitCode = 2;
}
