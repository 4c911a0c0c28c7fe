import { createLinuxMounter } from "@varve/mount-linux";

// Mounts and unmounts an image all the time, until it is killed.
const [image = "", target = ""] = process.argv.slice(2);
const mounter = createLinuxMounter();
process.stdout.write("started\n");
for (;;) {
  await mounter.mount([{ type: "ext4", source: image, options: ["loop"] }], target);
  await mounter.unmount(target);
}
