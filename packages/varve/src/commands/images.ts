import type { Command } from "commander";
import type { Run } from "../command-run.ts";
import { filterOption } from "./filter-option.ts";
import { addLs } from "./ls-command.ts";

export function addImages(program: Command, run: Run): void {
  const images = program.command("images").description("names and what they stand for");
  addLs(images, "list images")
    .addOption(filterOption("name~=debian or labels.team==a"))
    .action(async (_own: unknown, command: Command) => {
      const { listImages } = await import("../actions/list-images.ts");
      await listImages(run(command));
    });
  images
    .command("inspect")
    .description("show config, layers, labels and snapshots of an image")
    .argument("<reference>")
    .action(async (reference: string, _own: unknown, command: Command) => {
      const { inspectImage } = await import("../actions/inspect-image.ts");
      await inspectImage(reference, run(command));
    });
  images
    .command("check")
    .description("tell whether all of an image is stored, and unpacked; ends with 5 if something is missing")
    .argument("[references...]", "default: every image")
    .action(async (references: string[], _own: unknown, command: Command) => {
      const { checkImages } = await import("../actions/check-images.ts");
      await checkImages(references, run(command));
    });
  images
    .command("tag")
    .description("give an image another name; a name that is used moves")
    .argument("<reference>")
    .argument("<name>")
    .action(async (reference: string, name: string, _own: unknown, command: Command) => {
      const { tagImage } = await import("../actions/tag-image.ts");
      await tagImage(reference, name, run(command));
    });
  images
    .command("rm")
    .description("remove names; varve gc then frees the space")
    .argument("<references...>")
    .action(async (references: string[], _own: unknown, command: Command) => {
      const { removeImages } = await import("../actions/remove.ts");
      await removeImages(references, run(command));
    });
}
