import type { Repository } from "@varve/remotes";
import { parseReference } from "@varve/reference";
import type { CommandRun } from "../command-run.ts";
import { UsageError } from "../exit-code.ts";
import type { RegistryFlags } from "../registry-options.ts";
import { printStream } from "../streamed-list.ts";
import { checkUsage } from "./check-usage.ts";
import { hostOf } from "./host-of.ts";
import { withRegistry } from "./with-registry.ts";

interface TagsOptions extends RegistryFlags {
  readonly json?: boolean;
  readonly last?: string;
}

const form = {
  key: "tags",
  row: (tag: string) => [tag],
  name: (tag: string) => tag,
  json: (tag: string) => tag,
};

/** As they come: a repository may have a million. */
export async function listTags(name: string, run: CommandRun<TagsOptions>): Promise<void> {
  const { options, signal } = run;
  checkUsage(name, undefined);
  const { tag, digest } = parseReference(name);
  if (digest !== undefined || (tag !== undefined && name.endsWith(`:${tag}`))) {
    throw new UsageError(`tags: ${name}: a repository has no tag or digest`);
  }
  await withRegistry(run, [hostOf(name)], (registry) => {
    const tags = tagsOf(registry.repository(name), { last: options.last, signal });
    return printStream({ ...(options.json === true ? { json: true } : { quiet: true }), signal }, form, tags);
  });
}

async function* tagsOf(
  repository: Repository,
  options: Parameters<Repository["tags"]>[0],
): AsyncGenerator<string, void, undefined> {
  yield* repository.tags(options);
}
