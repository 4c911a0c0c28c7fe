import { join } from "node:path";
import { startDockerRegistry, pushCorpus, temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { varve } from "../src/command.ts";
import { environment } from "../src/images-under-test.ts";

const { missing } = environment;

describe.skipIf(missing !== undefined)(
  `the same pull again (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test("says that every layer exists, and asks the registry for no blob", async () => {
      // A registry of its own: its log is read.
      await using registry = await startDockerRegistry();
      await pushCorpus(environment.corpus, registry.host);
      await using directory = await temporaryDirectory();
      const pull = ["pull", "--json", `--root=${join(directory.path, "store")}`, `${registry.host}/app:oci-gzip`];
      const first = await varve(pull);
      expect(first).toMatchObject({ status: 0 });
      const before = await registry.requests();
      expect(
        before.filter((request) => request.startsWith("GET") && request.includes("/blobs/")).length,
      ).toBeGreaterThan(4);

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
      const asked = (await registry.requests()).slice(before.length);
      expect(asked.filter((request) => request.includes("/blobs/"))).toEqual([]);
      expect(asked.length).toBeGreaterThan(0);
    });
  },
);
