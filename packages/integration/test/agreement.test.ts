import { readdir, readFile } from "node:fs/promises";
import { bash, temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { chooseSeed, randomFrom } from "../src/faults/random.ts";
import { environment } from "../src/images-under-test.ts";
import { disagreements } from "../src/layers/disagreements.ts";
import { layerBlobs } from "../src/layers/layer-blobs.ts";
import { layerOf } from "../src/layers/layer-of.ts";
import { listGnu, listOurs, listTarStream } from "../src/layers/listing.ts";
import type { Listing } from "../src/layers/listing.ts";
import { randomItems } from "../src/layers/random-items.ts";
import { rounds } from "../src/rounds.ts";

const missing = environment.missing ?? (await whyNoFaults(["bsdtar"]));

/** Both others must see what our reader sees. */
async function mustAgree(archive: Buffer, what: string): Promise<number> {
  const ours = listOurs(archive);
  const [gnu, stream] = await Promise.all([listGnu(archive), listTarStream(archive)]);
  expect(ours.problem, what).toBeUndefined();
  expect(gnu.lines, `${what}: GNU tar`).toEqual(ours.lines);
  expect(stream.lines, `${what}: tar-stream`).toEqual(listOurs(archive, true).lines);
  expect(stream.contents, `${what}: tar-stream`).toEqual(ours.contents);
  return ours.lines.length;
}

/** A tree with one of everything that each format can hold, packed by others: prints nothing, leaves `NAME.tar`. */
const makeArchives = `
cd "$1"
mkdir -p tree/dir/sub
echo one >tree/dir/one; ln tree/dir/one tree/dir/two; ln -s one tree/dir/link
mkfifo tree/fifo; mknod tree/null c 1 3; mknod tree/disk b 8 17
head -c 100000 /dev/zero >tree/zeros; chmod 4755 tree/zeros; chmod 1777 tree/dir/sub
touch -d @1600000000 tree/dir/one; touch -d @1700000000 tree/zeros
for format in gnu oldgnu posix ustar; do tar -c --format=$format -C tree -f $format.tar .; done
tar -c --format=v7 -C tree -f v7.tar dir zeros
mkdir -p "tree/$(printf 'n%.0s' {1..90})/$(printf 'm%.0s' {1..90})"
for format in gnu posix ustar; do tar -c --format=$format -C tree -f long-$format.tar .; done
for format in ustar pax gnutar; do bsdtar -c --format $format -C tree -f bsd-$format.tar .; done
rm -r tree
`;

describe.skipIf(missing !== undefined)(
  `archives that are valid look the same to GNU tar, tar-stream and us (privileged${missing === undefined ? "" : `: ${missing}`})`,
  () => {
    test("real layers", async () => {
      let entries = 0;
      // The lowest of them is all that the other image has.
      for (const [index, layer] of (await layerBlobs(environment.corpus.app)).entries()) {
        entries += await mustAgree(layer, `layer ${index}`);
      }
      expect(entries).toBeGreaterThan(5000);
    });

    test("archives of GNU tar and bsdtar in each of their formats", async () => {
      await using directory = await temporaryDirectory();
      await bash(makeArchives, [directory.path]);
      const names = (await readdir(directory.path)).filter((name) => name.endsWith(".tar"));
      expect(names.length).toBe(11);
      for (const name of names) await mustAgree(await readFile(`${directory.path}/${name}`), name);
    });

    test("random archives", async () => {
      const seed = chooseSeed();
      process.stdout.write(`VARVE_SEED=${seed}\n`);
      const random = randomFrom(seed);
      for (let round = 0; round < rounds(300, 60); round += 1) {
        const items = randomItems(random);
        expect(await mustAgree(layerOf(items), `round ${round}`), `round ${round}`).toBe(items.length);
      }
    });
  },
);

/** Type and name of each entry, and `!` at the end if something was wrong. */
function summary({ lines, problem }: Listing): string {
  const found = lines.map((line) => `${line[0] ?? ""}:${line.split(" ").slice(5).join(" ").split(" ->")[0]}`);
  return [...found, ...(problem === undefined ? [] : ["!"])].join(" ");
}

describe("archives that do not look the same to all", () => {
  test.each(disagreements)("$what: $why", async ({ archive, ours, gnu, tarStream }) => {
    expect({
      ours: summary(listOurs(archive)),
      gnu: summary(await listGnu(archive)),
      tarStream: summary(await listTarStream(archive)),
    }).toEqual({ ours, gnu, tarStream });
  });
});
