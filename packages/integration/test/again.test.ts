import { join } from "node:path";
import { exec, startDockerRegistry, temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { varve } from "../src/command.ts";
import { environment } from "../src/images-under-test.ts";

const { missing } = environment;
/** The registry writes a request down when it is over, which its client knows before: for a line of its log tests wait so long. */
const timeout = 60_000;

function isFetch(request: string): boolean {
  return request.startsWith("GET") && request.includes("/blobs/");
}

describe.skipIf(missing !== undefined)(
  `the same pull again (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test("says that every layer exists, and asks the registry for no blob", async () => {
      // A registry of its own: its log is read.
      await using registry = await startDockerRegistry();
      const reference = `${registry.host}/app:oci-gzip`;
      const layout = `oci:${environment.corpus.app}:latest`;
      await exec("skopeo", ["copy", "-q", "--format=oci", "--dest-tls-verify=false", layout, `docker://${reference}`]);
      await using directory = await temporaryDirectory();
      const pull = ["pull", "--json", `--root=${join(directory.path, "store")}`, reference];
      const first = await varve(pull);
      expect(first).toMatchObject({ status: 0 });
      // Four layers and the config.
      await expect.poll(async () => (await registry.requests()).filter(isFetch).length, { timeout }).toBe(5);
      const before = (await registry.requests()).length;

      const second = await varve(pull);
      expect(second).toMatchObject({ status: 0 });
      const { durationMs: _first, summary, layers, ...rest } = JSON.parse(first.stdout);
      const {
        durationMs: _second,
        summary: summaryAgain,
        layers: layersAgain,
        ...restAgain
      } = JSON.parse(second.stdout);
      expect(restAgain).toEqual(rest);
      expect(summary).toMatchObject({ unpacked: { layers: 4 }, reused: { layers: 0 } });
      expect(summaryAgain).toMatchObject({ fetched: { bytes: 0 }, unpacked: { layers: 0 }, reused: { layers: 4 } });
      expect(layers).toHaveLength(4);
      expect(layersAgain.map((layer: { status: string }) => layer.status)).toEqual([
        "exists",
        "exists",
        "exists",
        "exists",
      ]);
      const asked = async (): Promise<string[]> => (await registry.requests()).slice(before);
      await expect.poll(async () => (await asked()).length, { timeout }).toBeGreaterThan(0);
      expect((await asked()).filter((request) => request.includes("/blobs/"))).toEqual([]);
    });
  },
);
