import type { Command } from "commander";
import type { Run } from "../command-run.ts";
import { addRegistryOptions } from "./registry-options.ts";

const reference = "as docker takes it: debian, localhost:5000/app:v1, name@sha256:…";

/** Commands that ask a registry, and need no store. */
export function addRegistry(program: Command, run: Run): void {
  addShow(program, run);
  addLists(program, run);
  addRegistryOptions(
    program
      .command("delete")
      .description("delete a tag, or by its digest a manifest, at its registry; stored images stay")
      .argument("<reference...>", "name:tag or name@sha256:…"),
  ).action(async (references: string[], _own: unknown, command: Command) => {
    const { deleteRemote } = await import("../actions/delete-remote.ts");
    await deleteRemote(references, run(command));
  });
}

function addShow(program: Command, run: Run): void {
  addRegistryOptions(
    program
      .command("digest")
      .description("print the digest that a name stands for at its registry")
      .argument("<reference>", reference)
      .option("--full-ref", "print name@digest"),
  ).action(async (name: string, _own: unknown, command: Command) => {
    const { showDigest } = await import("../actions/show-digest.ts");
    await showDigest(name, run(command));
  });
  addRegistryOptions(
    program
      .command("manifest")
      .description("print the manifest or index that a name stands for: its very bytes, or indented on a terminal")
      .argument("<reference>", reference),
  ).action(async (name: string, _own: unknown, command: Command) => {
    const { showManifest } = await import("../actions/show-manifest.ts");
    await showManifest(name, run(command));
  });
  addRegistryOptions(
    program
      .command("config")
      .description("print the config of an image: its very bytes, or indented on a terminal")
      .argument("<reference>", reference),
  ).action(async (name: string, _own: unknown, command: Command) => {
    const { showConfig } = await import("../actions/show-manifest.ts");
    await showConfig(name, run(command));
  });
}

function addLists(program: Command, run: Run): void {
  addRegistryOptions(
    program
      .command("tags")
      .description("list the tags of a repository")
      .argument("<repository>", "a name without a tag")
      .option("--last <tag>", "only those after this one"),
  ).action(async (name: string, _own: unknown, command: Command) => {
    const { listTags } = await import("../actions/list-tags.ts");
    await listTags(name, run(command));
  });
  addRegistryOptions(
    program
      .command("referrers")
      .description("list what refers to an image: signatures, statements about what is in it")
      .argument("<reference>", reference)
      .option("-q, --quiet", "only digests, one a line")
      .option("--artifact-type <type>", "only those of this type"),
  ).action(async (name: string, _own: unknown, command: Command) => {
    const { listReferrers } = await import("../actions/list-referrers.ts");
    await listReferrers(name, run(command));
  });
}
