// A process of its own that does to the metadata in a directory what its second argument says.
import { digestOf } from "@varve/digest";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { openIn } from "./temp.ts";

const [path = "", what = "", who = ""] = process.argv.slice(2);
const target = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf("m"), size: 1 };
const temp = { path, [Symbol.asyncDispose]: async () => {} };

async function main(): Promise<void> {
  if (what === "lock") {
    const raw = new DatabaseSync(join(path, "metadata.db"));
    raw.exec("BEGIN IMMEDIATE");
    raw.exec("DELETE FROM images");
    process.stdout.write("locked\n");
    setInterval(() => raw.isTransaction, 1000);
    return;
  }
  const metadata = await openIn(temp, undefined, { durability: "full" });
  const { images } = metadata.namespace("one");
  if (what === "one") {
    await images.put({ name: "from the child", target });
    process.stdout.write("written\n");
    setInterval(() => {}, 1000);
    return;
  }
  process.stdout.write("open\n");
  for (let count = 0; count < 25; count += 1) {
    await images.put({ name: `${who}-${String(count).padStart(2, "0")}`, target });
    const writer = await metadata.namespace("one").content.writer(`${who}-${count}`);
    await writer.write(new TextEncoder().encode(`${who} ${count}`));
    await writer.commit();
  }
  await metadata.close();
}

await main();
