import { openWriter, writeBlob } from "@varve/content";
import { currentOwner } from "@varve/locks";
import { expect, test, vi } from "vitest";
import { read, sample, sql, store } from "./blobs.ts";
import { list, newWorld } from "./temp.ts";

const blob = sample("a blob");
const another = sample("another blob");

// What the collector does: it takes blobs away that have no record, and says so before it begins.
const removal = "INSERT INTO removals (digest, owner) VALUES (?, ?)";
const noRemoval = "DELETE FROM removals";

// K01: the record is the first thing
test("an ingest is recorded before it is begun below, and a blob only after it is committed there", async () => {
  await using world = await newWorld();
  const seen: [string, number, number][] = [];
  world.content.before = (call) => {
    const ingests = sql(world.path, "SELECT * FROM ingests").length;
    seen.push([call, ingests, sql(world.path, "SELECT * FROM blobs").length]);
  };
  await writeBlob(world.one.content, "r", blob.bytes, { expected: blob });
  expect(seen).toEqual([
    ["writer", 1, 0],
    ["commit", 1, 0],
  ]);
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
});

// K07: killed between the commit below and the record
test("a blob whose process died before it was recorded is adopted by the next who wants it", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  await (await content.writer("r", { expected: blob })).close();
  world.content.ingests.clear();
  world.content.blobs.set(blob.digest, Buffer.from(blob.bytes));
  await expect(content.info(blob.digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await expect(content.writer("r", { expected: blob })).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  expect(await content.info(blob.digest)).toMatchObject({ size: blob.size, labels: {} });
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
});

// U-MD.4
test("an isolated namespace does not adopt, and brings the bytes", async () => {
  await using world = await newWorld({ sharing: "isolated" });
  const { content } = world.one;
  await (await content.writer("r", { expected: blob })).close();
  world.content.ingests.clear();
  world.content.blobs.set(blob.digest, Buffer.from(blob.bytes));
  const writer = await content.writer("r", { expected: blob });
  expect(writer.status().offset).toBe(0);
  await writer.write(blob.bytes);
  await writer.commit();
  expect(await content.info(blob.digest)).toMatchObject({ size: blob.size });
});

test("a blob below that nobody waits for is not adopted: its bytes are brought again", async () => {
  await using world = await newWorld();
  world.content.blobs.set(blob.digest, Buffer.from(blob.bytes));
  const writer = await world.one.content.writer("r", { expected: blob });
  await writer.write(blob.bytes);
  expect(await writer.commit(blob)).toBe(blob.digest);
});

// G-35
test("a blob that came while its writer was being opened is not brought again", async () => {
  await using world = await newWorld();
  let first = true;
  world.content.before = async (call) => {
    if (call !== "writer" || !first) return;
    first = false;
    // Another writer of the same ref is faster, after this one has found that nobody waits for the blob.
    await writeBlob(world.one.content, "r", blob.bytes, { expected: blob });
  };
  await expect(world.one.content.writer("r", { expected: blob })).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  expect(await read(world.one.content, blob)).toEqual(blob.bytes);
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
});

test("a commit keeps its blob from being collected before it is made below", async () => {
  await using world = await newWorld();
  const writer = await world.one.content.writer("r");
  await writer.write(blob.bytes);
  expect(sql(world.path, "SELECT expected FROM ingests")).toEqual([{ expected: null }]);
  let kept: unknown;
  world.content.before = (call) => {
    if (call === "commit") kept = sql(world.path, "SELECT expected FROM ingests")[0]?.["expected"];
  };
  await writer.commit();
  expect(kept).toBe(blob.digest);
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
});

// C03
test("a commit waits while the collector takes a blob of its digest away", async () => {
  await using world = await newWorld();
  const writer = await world.one.content.writer("r");
  await writer.write(blob.bytes);
  sql(world.path, removal, blob.digest, currentOwner());
  let committed = false;
  world.content.before = (call) => {
    if (call === "commit") committed = true;
  };
  const commit = writer.commit();
  while (sql(world.path, "SELECT expected FROM ingests")[0]?.["expected"] === null) await turn();
  for (let count = 0; count < 5; count += 1) await turn();
  expect(committed).toBe(false);
  sql(world.path, noRemoval);
  expect(await commit).toBe(blob.digest);
  expect(committed).toBe(true);
});

test("waiting for the collector ends with the reason of the signal, and keeps the ingest", async () => {
  await using world = await newWorld();
  sql(world.path, removal, blob.digest, currentOwner());
  const writer = await world.one.content.writer("r", { expected: blob });
  await writer.write(blob.bytes);
  const controller = new AbortController();
  const commit = writer.commit(blob, { signal: controller.signal });
  const reason = new Error("enough");
  controller.abort(reason);
  await expect(commit).rejects.toBe(reason);
  expect(await world.one.content.status("r")).toMatchObject({ offset: blob.size });
});

// K16: the collector was killed
test("what a dead collector had begun to take away holds nobody up", async () => {
  await using world = await newWorld();
  sql(world.path, removal, blob.digest, "1/1/00000000-0000-0000-0000-000000000000");
  await store(world.one.content, blob);
  expect(await read(world.one.content, blob)).toEqual(blob.bytes);
});

test("a blob that is being taken away is not adopted", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  await (await content.writer("r", { expected: blob })).close();
  world.content.ingests.clear();
  world.content.blobs.set(blob.digest, Buffer.from(blob.bytes));
  sql(world.path, removal, blob.digest, currentOwner());
  await expect(content.writer("r", { expected: blob })).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
  await expect(content.info(blob.digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  world.content.blobs.clear();
  sql(world.path, noRemoval);
  const writer = await openWriter(content, "r", { expected: blob });
  expect(writer.status().offset).toBe(0);
});

test("a blob that was being taken away when it was asked for is not adopted, even if that is over now", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  await (await content.writer("r", { expected: blob })).close();
  world.content.ingests.clear();
  world.content.blobs.set(blob.digest, Buffer.from(blob.bytes));
  sql(world.path, removal, blob.digest, currentOwner());
  world.content.before = (call) => {
    if (call === "writer") sql(world.path, noRemoval);
  };
  await expect(content.writer("r", { expected: blob })).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
});

test("an ingest is continued under its ref with the bytes that it has", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  const first = await content.writer("r", { expected: blob });
  await first.write(blob.bytes.subarray(0, 3));
  await first.close();
  const second = await content.writer("r", { expected: blob });
  expect(second.status()).toMatchObject({ ref: "r", offset: 3 });
  await second.write(blob.bytes.subarray(3));
  await second.commit(blob);
  expect(await read(content, blob)).toEqual(blob.bytes);
});

test("a commit that fails below keeps the ingest and its record", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  const writer = await content.writer("r");
  await writer.write(blob.bytes);
  await expect(writer.commit({ size: 1 })).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  await expect(writer.write(blob.bytes)).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  expect(sql(world.path, "SELECT ref FROM ingests")).toEqual([{ ref: "r" }]);
  const again = await content.writer("r");
  expect(again.status().offset).toBe(blob.size);
  await again.commit(blob);
});

test("a ref that another writer has is unavailable, and its record stays", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  const writer = await content.writer("r", { expected: blob });
  await expect(content.writer("r", { expected: another })).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
  expect(sql(world.path, "SELECT ref FROM ingests")).toEqual([{ ref: "r" }]);
  await writer.write(blob.bytes);
  await writer.commit();
  expect(await list(content.walk())).toHaveLength(1);
});

// P08: the clock may have been set since
test.each([-1, 1])(
  "a commit and an abort leave the record of who has taken the ref since (%i min)",
  async (minutes) => {
    await using world = await newWorld();
    const { content } = world.one;
    const other = Date.now() + minutes * 60_000;
    world.content.before = (call) => {
      if (call === "commit" || call === "abort") sql(world.path, "UPDATE ingests SET created_at = ?", other);
    };
    const first = await content.writer("committed");
    await first.write(blob.bytes);
    await first.commit();
    await (await content.writer("aborted")).close();
    await content.abort("aborted");
    const records = sql(world.path, "SELECT ref, created_at FROM ingests ORDER BY ref");
    expect(records).toEqual(["aborted", "committed"].map((ref) => ({ ref, created_at: other })));
  },
);

// G-40, C03: its record is what keeps a blob, so that one too many keeps it for nothing
test("who asks for a ref while it is being committed leaves no record behind", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  const writer = await content.writer("r", { expected: blob });
  await writer.write(blob.bytes);
  world.content.before = async (call) => {
    if (call !== "commit") return;
    await nextMillisecond();
    await expect(content.writer("r", { expected: blob })).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
  };
  await writer.commit();
  await expect(content.writer("r", { expected: blob })).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
});

test("who asks for a ref in vain changes nothing of what its writer is kept by", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  await content.writer("r", { expected: blob });
  const record = sql(world.path, "SELECT * FROM ingests");
  await nextMillisecond();
  await expect(content.writer("r", { expected: another })).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual(record);
});

test("who finds a ref taken by a writer without a record leaves none either", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  await content.writer("r", { expected: blob });
  sql(world.path, "DELETE FROM ingests");
  await expect(content.writer("r", { expected: blob })).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
});

test("who finds a blob that came meanwhile under another ref leaves no record behind", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  world.content.before = async (call, ref) => {
    if (call === "writer" && ref === "one/r") await writeBlob(content, "another", blob.bytes, { expected: blob });
  };
  await expect(content.writer("r", { expected: blob })).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS" });
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
});

test("who goes on with an ingest expects his own blob, has a record of his own time, and ends it", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  await (await content.writer("r", { expected: another })).close();
  sql(world.path, "UPDATE ingests SET created_at = 5");
  const writer = await content.writer("r", { expected: blob });
  const [record] = sql(world.path, "SELECT * FROM ingests");
  expect(record).toMatchObject({ expected: blob.digest });
  expect(Date.now() - Number(record?.["created_at"])).toBeLessThan(60_000);
  await writer.write(blob.bytes);
  await writer.commit();
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
});

test("who goes on with an ingest has another record than who began it, within one millisecond too", async () => {
  await using world = await newWorld();
  vi.useFakeTimers({ toFake: ["Date"], now: 5000 });
  try {
    const times = new Set<unknown>();
    for (let count = 0; count < 2; count += 1) {
      await (await world.one.content.writer("r", { expected: blob })).close();
      times.add(sql(world.path, "SELECT created_at FROM ingests")[0]?.["created_at"]);
    }
    expect([...times]).toEqual([5000, 5001]);
  } finally {
    vi.useRealTimers();
  }
});

test("a writer whose record ended while it waited for its ref has one when it is open", async () => {
  await using world = await newWorld();
  world.content.before = (call) => {
    if (call === "writer") sql(world.path, "DELETE FROM ingests");
  };
  await world.one.content.writer("r", { expected: blob });
  expect(sql(world.path, "SELECT ref, expected FROM ingests")).toEqual([{ ref: "r", expected: blob.digest }]);
});

test("a writer that is given up while it gets its record leaves its ref free, with what it has", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  const first = await content.writer("r", { expected: blob });
  await first.write(blob.bytes.subarray(0, 3));
  await first.close();
  const controller = new AbortController();
  const reason = new Error("enough");
  world.content.before = (call) => {
    if (call === "writer") controller.abort(reason);
  };
  await expect(content.writer("r", { expected: blob, signal: controller.signal })).rejects.toBe(reason);
  world.content.before = () => {};
  expect((await content.writer("r", { expected: blob })).status()).toMatchObject({ offset: 3 });
});

test("an ingest whose record was lost, to who had the ref before, is committed all the same", async () => {
  await using world = await newWorld();
  const writer = await world.one.content.writer("r");
  await writer.write(blob.bytes);
  sql(world.path, "DELETE FROM ingests");
  await nextMillisecond();
  await writer.commit();
  expect(await read(world.one.content, blob)).toEqual(blob.bytes);
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
});

test("an aborted ingest has no record, and one that is not there is not found", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  const writer = await content.writer("r");
  await writer.write(blob.bytes);
  await content.abort("r");
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
  await expect(writer.commit()).rejects.toMatchObject({ code: "ERR_ABORTED" });
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
  await expect(content.info(blob.digest)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  await expect(content.abort("r")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

test("of many who store one blob at once one does and the others are told that it exists", async () => {
  await using world = await newWorld();
  const refs = Array.from({ length: 8 }, (_, index) => `r-${index}`);
  const writers = await Promise.all(refs.map((ref) => world.one.content.writer(ref)));
  for (const writer of writers) await writer.write(blob.bytes);
  const commits = await Promise.allSettled(writers.map((writer) => writer.commit(blob)));
  const reasons = commits.flatMap((commit) => (commit.status === "rejected" ? [commit.reason] : []));
  expect(reasons).toEqual(Array.from({ length: 7 }, () => expect.objectContaining({ code: "ERR_ALREADY_EXISTS" })));
  expect(sql(world.path, "SELECT * FROM ingests")).toEqual([]);
});

/** Records of two writers differ by their time. */
async function nextMillisecond(): Promise<void> {
  for (const now = Date.now(); Date.now() <= now;) await turn();
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}

// I1: an ingest without a lease that the collector takes for abandoned, between its commit and its record
test("a blob that was collected before it was recorded is not acknowledged", async () => {
  await using world = await newWorld();
  const { content } = world.one;
  const writer = await content.writer("r");
  await writer.write(blob.bytes);
  const { blobs } = world.content;
  blobs.set = () => {
    sql(world.path, "DELETE FROM ingests");
    return blobs;
  };
  await expect(writer.commit()).rejects.toMatchObject({
    code: "ERR_UNAVAILABLE",
    message: expect.stringContaining(blob.digest),
  });
  expect(sql(world.path, "SELECT * FROM blobs")).toEqual([]);
  Reflect.deleteProperty(blobs, "set");
  await writeBlob(content, "r", blob.bytes);
  expect(await content.info(blob.digest)).toMatchObject({ size: blob.size });
});
