import { createBlobPipe } from "@varve/content";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";

const chunk = Buffer.from("some bytes");

test("a blob is handed on chunk by chunk, the next one when the last was read", async () => {
  const pipe = createBlobPipe("blob");
  const writer = await pipe.writer("ref");
  const stream = pipe.stream();
  let written = 0;
  const writing = (async () => {
    for (; written < 2; written += 1) await writer.write(chunk);
    expect(await writer.commit({ size: 2 * chunk.length })).toBe(digestOf(Buffer.concat([chunk, chunk])));
    pipe.end();
  })();
  expect((await stream.next()).value).toEqual(chunk);
  await new Promise(setImmediate);
  expect(written).toBe(0);
  expect((await stream.next()).value).toEqual(chunk);
  expect(await stream.next()).toEqual({ done: true, value: undefined });
  await writing;
  expect(pipe.isLeft).toBe(false);
});

test("whoever writes is told when nobody reads any more", async () => {
  const pipe = createBlobPipe("blob");
  const writer = await pipe.writer("ref");
  const stream = pipe.stream();
  const writing = writer.write(chunk);
  await stream.next();
  await stream.return();
  const left = { code: "ERR_ABORTED", message: "blob: was not read to its end" };
  await expect(writing).rejects.toMatchObject(left);
  await expect(writer.write(chunk)).rejects.toMatchObject(left);
  expect(pipe.isLeft).toBe(true);
});

test("a failure reaches both sides", async () => {
  const pipe = createBlobPipe("blob");
  const writer = await pipe.writer("ref");
  const reason = new Error("no");
  const reading = pipe.stream().next();
  pipe.fail(reason);
  await expect(reading).rejects.toBe(reason);
  await expect(writer.write(chunk)).rejects.toBe(reason);
});

test("what was handed on cannot be begun again, and must be what was expected", async () => {
  const pipe = createBlobPipe("blob");
  const writer = await pipe.writer("ref");
  await writer.truncate();
  const writing = writer.write(chunk);
  for await (const read of pipe.stream()) {
    expect(read).toEqual(chunk);
    pipe.end();
  }
  await writing;
  await expect(writer.truncate()).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
  await expect(writer.commit({ size: 1 })).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
});
