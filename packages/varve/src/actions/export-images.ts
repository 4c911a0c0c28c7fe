import type { CommandRun } from "../command-run.ts";
import { UsageError } from "../exit-code.ts";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import { byteOutput, unlessUnread } from "./byte-output.ts";
import { checkUsage } from "./check-usage.ts";
import { onePlatform } from "./platform-option.ts";

interface ExportOptions {
  readonly output?: string;
  readonly ociLayout?: string;
  /** False after `--no-docker`. */
  readonly docker?: boolean;
}

export async function exportImages(
  names: readonly string[],
  { options, signal }: CommandRun<ExportOptions>,
): Promise<void> {
  const { json, ociLayout, platform } = options;
  for (const name of names) checkUsage(name, onePlatform(platform));
  const exporting = { platform, dockerCompatible: options.docker, signal };
  if (ociLayout !== undefined) {
    if (options.output !== undefined) throw new UsageError("export: --output or --oci-layout, not both");
    await withClient(options, (client) => client.exportLayout(names, ociLayout, exporting));
    await printResult(json, { exported: names, directory: ociLayout }, () => names);
    return;
  }
  const output = byteOutput("export", options.output, { json, signal });
  await withClient(options, (client) => unlessUnread(output, () => output.write(client.export(names, exporting))));
  if (output.isFile) await printResult(json, { exported: names, file: options.output }, () => names);
}
