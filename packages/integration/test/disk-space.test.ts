import { randomBytes } from "node:crypto";
import { mkdtemp, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openClient } from "@varve/client";
import type { Client } from "@varve/client";
import { putImage, startRegistry } from "@varve-tools/test-registry";
import { exec } from "@varve-tools/corpus";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unmount } from "../src/faults/disk-image.ts";
import { whyNoFaults } from "../src/faults/missing.ts";

const missing = await whyNoFaults([]);
const mib = 1024 * 1024;

/** Text of this length that gzip makes a quarter shorter. */
function noise(length: number): string {
  return randomBytes((length / 4) * 3).toString("base64");
}

// G-52
describe.skipIf(missing !== undefined)(
  `the disk is looked at first (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    let disk = "";

    beforeAll(async () => {
      disk = await mkdtemp(join(tmpdir(), "varve-small-"));
      await exec("mount", ["-t", "tmpfs", "-o", "size=18m", "none", disk]);
    });

    afterAll(async () => {
      await unmount(disk);
      await rm(disk, { recursive: true });
    });

    const open = (root: string): Promise<Client> =>
      openClient({ root: join(disk, root), snapshotter: "native", durability: "none" });

    test("an image that cannot fit is refused before a byte of a layer is asked for, with both figures", async () => {
      await using registry = await startRegistry();
      await using client = await open("refused");
      const name = await registry.tag("big", await putImage(registry.content, [{ a: noise(20 * mib) }]));
      const events: string[] = [];
      const pulling = client.pull(name, {
        checkSpace: true,
        onProgress: (event) => void ("descriptor" in event && events.push(event.descriptor.mediaType)),
      });
      await expect(pulling).rejects.toMatchObject({
        code: "ERR_RESOURCE_EXHAUSTED",
        message: expect.stringMatching(/needs about \d{8} bytes, but \d{7,8} bytes are free$/),
      });
      expect(events.filter((mediaType) => mediaType.includes("layer"))).toEqual([]);
      expect((await statfs(disk)).bavail * (await statfs(disk)).bsize).toBeGreaterThan(14 * mib);
    });

    test("what is to stay free counts, and so does what is stored already", async () => {
      await using registry = await startRegistry();
      await using client = await open("reserved");
      const name = await registry.tag("app", await putImage(registry.content, [{ a: noise(4 * mib) }]));
      await expect(client.pull(name, { checkSpace: { reserve: 12 * mib } })).rejects.toThrow("are to stay free");
      await client.fetch(name);
      // Its blob is stored: only the files must fit now, three times 3 MiB and not four.
      const { bavail, bsize } = await statfs(disk);
      const reserve = bavail * bsize - 10 * mib;
      const pulled = await client.pull(name, { checkSpace: { reserve } });
      expect(pulled.layers).toMatchObject([{ status: "unpacked" }]);
      // All is there, so nothing is needed.
      await expect(client.pull(name, { checkSpace: { reserve: 1024 * mib } })).resolves.toMatchObject({
        layers: [{ status: "exists" }],
      });
    });

    test.each([{ ratio: -1 }, { reserve: Number.NaN }])("nonsense is refused: %o", async (checkSpace) => {
      await using registry = await startRegistry();
      await using client = await open("nonsense");
      const name = await registry.tag("app", await putImage(registry.content, [{ a: "x" }]));
      await expect(client.pull(name, { checkSpace })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    });
  },
);
