import { putImage, startRegistry } from "@varve-tools/test-registry";
import { openContainerdClient } from "@varve/client";
import { parseDigest } from "@varve/digest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { varve } from "../src/command.ts";
import { noRecords, recordsOf } from "../src/containerd/records.ts";
import { missing, startVarveOver } from "../src/containerd/varve-over.ts";
import type { VarveOver } from "../src/containerd/varve-over.ts";
import { startCuttingProxy } from "../src/cutting-proxy.ts";
import type { CuttingProxy } from "../src/cutting-proxy.ts";
import { environment } from "../src/images-under-test.ts";

describe.skipIf(missing !== undefined)(
  `a pull into a containerd that does not come to its end (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    let over: VarveOver;
    /** How many bytes a registry sends for the image. */
    let bytes: number;

    beforeAll(async () => {
      over = await startVarveOver();
      await using proxy = await startProxy();
      const name = nameAt(proxy);
      await over.pull("measured", name);
      await over.containerd.ctrIn("measured")("images", "rm", "--sync", name);
      bytes = proxy.sent;
    });
    afterAll(() => over[Symbol.asyncDispose]());

    /** The next pull works, and then there is nothing but the image. */
    async function mustBeMended(namespace: string, name: string): Promise<void> {
      const ctr = over.containerd.ctrIn(namespace);
      await over.pull(namespace, name);
      await over.containerd.collect();
      const { ingests, leases, snapshots } = await recordsOf(ctr);
      expect({ ingests, leases }).toEqual({ ingests: [], leases: [] });
      expect(Object.values(snapshots).map(({ kind }) => kind)).toEqual(Object.keys(snapshots).map(() => "Committed"));
      await ctr("images", "rm", "--sync", name);
      expect(await recordsOf(ctr)).toEqual(noRecords);
    }

    test.each([0.1, 0.6, 0.97])(
      "killed at %d of its bytes: the next one leaves nothing behind (F01, U-UNP.16)",
      async (place) => {
        await using proxy = await startProxy();
        const name = nameAt(proxy);
        const { status } = await over.run("killed", ["pull", name], (kill) => proxy.cutAt(place * bytes, () => kill()));
        expect(status).toBeUndefined();
        // Should there never be a next one, it ends by itself.
        expect(await over.containerd.ctrIn("killed")("leases", "ls")).toMatch(/ containerd\.io\/gc\.expire=/);
        await mustBeMended("killed", name);
      },
    );

    test("because containerd is killed: it says so, and the next one leaves nothing behind", async () => {
      await using proxy = await startProxy();
      const name = nameAt(proxy);
      proxy.cutAt(bytes / 2, () => over.containerd.kill());
      const { status, stderr } = await over.run("restarted", ["pull", name]);
      expect({ status, stderr }).toEqual({ status: 6, stderr: expect.stringContaining(over.containerd.address) });
      await over.containerd.start();
      await mustBeMended("restarted", name);
    });

    test("what a living process holds stays held while others pull", async () => {
      await using client = await openContainerdClient({ address: over.containerd.address, namespace: "living" });
      await using proxy = await startProxy();
      const leases = async (): Promise<readonly string[]> => (await recordsOf(over.containerd.ctrIn("living"))).leases;
      await client.hold(async () => {
        const held = await leases();
        expect(held).toHaveLength(1);
        await over.pull("living", nameAt(proxy));
        expect(await leases()).toEqual(held);
      });
      expect(await leases()).toEqual([]);
      await over.containerd.ctrIn("living")("images", "rm", "--sync", nameAt(proxy));
    });

    test("aborted: it ends with the reason, and holds nothing afterwards", async () => {
      await using proxy = await startProxy();
      await using client = await openContainerdClient({ address: over.containerd.address, namespace: "aborted" });
      const stop = new AbortController();
      const reason = new Error("enough");
      proxy.cutAt(bytes / 2, () => stop.abort(reason));
      await expect(client.pull(nameAt(proxy), { signal: stop.signal })).rejects.toBe(reason);
      await over.containerd.collect();
      expect(await recordsOf(over.containerd.ctrIn("aborted"))).toEqual(noRecords);
    });

    test("because a layer is missing: it holds nothing afterwards", async () => {
      await using registry = await startRegistry();
      const target = await putImage(registry.content, [{ there: "there" }, { missing: "missing" }]);
      const reference = await registry.tag("app", target);
      const { stdout } = await varve(["manifest", reference]);
      const { layers } = JSON.parse(stdout) as { readonly layers: readonly { readonly digest: string }[] };
      await registry.content.delete(parseDigest(layers.at(-1)?.digest ?? ""));
      const { status } = await over.run("failed", ["pull", "--retry-times", "0", reference]);
      expect(status).toBe(3);
      await over.containerd.collect();
      expect(await recordsOf(over.containerd.ctrIn("failed"))).toEqual(noRecords);
    });
  },
);

function startProxy(): Promise<CuttingProxy> {
  return startCuttingProxy(environment.registry, Number.POSITIVE_INFINITY);
}

function nameAt({ host }: CuttingProxy): string {
  return `${host}/app:oci-gzip`;
}
