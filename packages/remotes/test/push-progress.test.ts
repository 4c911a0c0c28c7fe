import { digestOf } from "@varve/digest";
import type { ProgressEvent } from "@varve/images";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { copyImage } from "@varve/remotes";
import type { Fetcher, Pusher } from "@varve/remotes";
import { expect, test } from "vitest";
import { fakePusher, readFrom } from "./fake-pusher.ts";

const size = 3 * 1024 * 1024;
const bytes = Buffer.alloc(size, "varve");
const blob: Descriptor = { mediaType: mediaTypes.ociLayer, digest: digestOf(bytes), size };

const fetcher: Fetcher = {
  async *fetch(_descriptor, { offset = 0 } = {}) {
    for (let at = offset; at < size; at += 1000) yield bytes.subarray(at, at + 1000);
  },
};

async function eventsOf(pusher: Pusher): Promise<ProgressEvent[]> {
  const events: ProgressEvent[] = [];
  await copyImage({ fetcher, target: blob }, { pusher }, { onProgress: (event) => void events.push(event) });
  return events;
}

function bytesIn(events: readonly ProgressEvent[]): number[] {
  return events.flatMap((event) => (event.type === "pushing" ? [event.bytes] : []));
}

test("the bytes of a blob that is sent are told of, the first and the last, few in between, and then that it is there", async () => {
  const events = await eventsOf(fakePusher());
  const told = bytesIn(events);
  expect(told[0]).toBe(0);
  expect(told.at(-1)).toBe(size);
  expect(told.length).toBeLessThanOrEqual(14);
  expect(told.toSorted((a, b) => a - b)).toEqual(told);
  expect(events.at(-1)).toEqual({ type: "pushed", descriptor: blob, how: "sent" });
});

test("a blob that goes on from where it broke off is told of as resumed, one begun again as a retry", async () => {
  const events = await eventsOf(
    fakePusher(async (body) => {
      await readFrom(body, 0, size);
      await readFrom(body, size / 2, size);
      return readFrom(body, 0);
    }),
  );
  const turns = events.filter((event) => event.type !== "pushing");
  expect(turns).toMatchObject([
    { type: "retry", attempt: 1, error: { code: "ERR_NETWORK" } },
    { type: "resumed", bytes: size / 2 },
    { type: "retry", attempt: 2 },
    { type: "pushed", how: "sent" },
  ]);
  // After each of them the counts begin where the upload does.
  const after = (index: number): number[] => bytesIn(events.slice(events.findIndex((event) => event === turns[index])));
  expect(after(1)[0]).toBe(size / 2);
  expect(after(2)[0]).toBe(0);
});
