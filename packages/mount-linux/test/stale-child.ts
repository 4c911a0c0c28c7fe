import { writeFileSync } from "node:fs";
import { withTemporaryMount } from "@varve/mount";
import { createLinuxMounter } from "@varve/mount-linux";

// Holds a bind mount and an overlay, each with a file open in it, until it is killed.
const [directory = "", source = "", upper = "", work = ""] = process.argv.slice(2);
const mounter = createLinuxMounter();
const overlay = [`lowerdir=${source}`, `upperdir=${upper}`, `workdir=${work}`];
const forEver = new Promise<void>(() => setInterval(() => undefined, 60_000));
await withTemporaryMount(
  mounter,
  [{ type: "bind", source, options: ["rbind"] }],
  async () => {
    await withTemporaryMount(
      mounter,
      [{ type: "overlay", source: "overlay", options: overlay }],
      async (root) => {
        writeFileSync(`${root}/written`, "");
        process.stdout.write("mounted\n");
        await forEver;
      },
      { directory },
    );
  },
  { directory },
);
