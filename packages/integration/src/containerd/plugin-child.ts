// node plugin-child.ts DIRECTORY
// Serves our snapshotters from a directory, prints one line when it does, and ends at SIGTERM.
import { servePlugin } from "./snapshot-plugin.ts";

const plugin = await servePlugin(process.argv[2] ?? "");
process.once("SIGTERM", () => {
  plugin.close().then(
    () => process.exit(plugin.failures.length === 0 ? 0 : 1),
    () => process.exit(2),
  );
});
process.stdout.write("ready\n");
