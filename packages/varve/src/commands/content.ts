import type { Command } from "commander";
import { parseRange } from "../arguments/range.ts";
import type { Run } from "../command-run.ts";
import { addDownloadOptions, addRegistryOptions } from "./registry-options.ts";
import { filterOption } from "./filter-option.ts";
import { addLs } from "./ls-command.ts";

export function addContent(program: Command, run: Run): void {
  const content = program.command("content").description("stored blobs, and downloads that were not finished");
  addLs(content, "list blobs", "digests")
    .addOption(filterOption("size==1024 or labels.a~=b"))
    .action(async (_own: unknown, command: Command) => {
      const { listContent } = await import("../actions/list-content.ts");
      await listContent(run(command));
    });
  content
    .command("ingests")
    .description("list downloads that were not finished")
    .option("-q, --quiet", "only refs, one a line")
    .addOption(filterOption("ref~=layer"))
    .action(async (_own: unknown, command: Command) => {
      const { listIngests } = await import("../actions/list-content.ts");
      await listIngests(run(command));
    });
  addGet(content, run);
  content
    .command("rm")
    .description("remove blobs, whatever needs them; varve gc then frees the space")
    .argument("<digests...>")
    .action(async (digests: string[], _own: unknown, command: Command) => {
      const { removeContent } = await import("../actions/remove.ts");
      await removeContent(digests, run(command));
    });
  const fetching = content
    .command("fetch")
    .description("fetch an image and do not unpack it; --platform all for every platform")
    .argument("<reference>");
  addDownloadOptions(addRegistryOptions(fetching)).action(
    async (reference: string, _own: unknown, command: Command) => {
      const { fetchImage } = await import("../actions/fetch-image.ts");
      await fetchImage(reference, run(command));
    },
  );
}

function addGet(content: Command, run: Run): void {
  content
    .command("get")
    .description("print the bytes of a blob, or write them to a file, and compare them with the digest")
    .argument("<digest>")
    .option("-o, --output <file>", "a file, or - for standard output, also if it is a terminal")
    .option("--range <first-last>", "a part, not compared with the digest: 0-99, 100-, -100", parseRange)
    .action(async (digest: string, _own: unknown, command: Command) => {
      const { getContent } = await import("../actions/get-content.ts");
      await getContent(digest, run(command));
    });
}
