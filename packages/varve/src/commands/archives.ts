import type { Command } from "commander";
import { parseBytes } from "../arguments/count.ts";
import type { Run } from "../command-run.ts";
import { addOutput } from "./layer-options.ts";

export function addArchives(program: Command, run: Run): void {
  addOutput(
    program
      .command("export")
      .description("write stored images as a tar: an OCI image layout that docker load reads, too")
      .argument("<name...>", "stored images"),
    "the tar",
  )
    .option("--oci-layout <dir>", "write an OCI image layout into this directory instead")
    .option("--no-docker", "leave out what docker load needs")
    .action(async (names: string[], _own: unknown, command: Command) => {
      const { exportImages } = await import("../actions/export-images.ts");
      await exportImages(names, run(command));
    });
  program
    .command("import")
    .description("store the images of an OCI image layout, or of what docker save wrote")
    .argument("<source>", "a tar, tar.gz or tar.zst file, a directory, or - for standard input")
    .option("--name <name>", "the name for an image that has none, or the repository for one that has only a tag")
    .option(
      "--max-bytes <bytes>",
      "refuse what is larger, after decompression, such as 20G (default: no limit)",
      parseBytes,
    )
    .action(async (source: string, _own: unknown, command: Command) => {
      const { importImages } = await import("../actions/import-images.ts");
      await importImages(source, run(command));
    });
}
