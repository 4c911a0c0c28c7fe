// A process of its own that uses a store, for the tests of what happens between processes. It is driven by its arguments
// and a line on its input, and says how it went on its output.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { openWriter, writeBlob } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { digestOf } from "@varve/digest";
import { CodedError } from "@varve/errors";

const [mode = "", root = "", ref = "", input = ""] = process.argv.slice(2);
const say = (line: string): boolean => process.stdout.write(`${line}\n`);
const stallMs = Number(process.env["STALL_MS"] ?? 60_000);
const store = await openContentStore({ root, stallMs });

// oxlint-disable-next-line typescript/require-await
async function* stream(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

switch (mode) {
  case "hold": {
    const writer = await store.writer(ref);
    await writer.write(readFileSync(input));
    say("holding");
    await once(process.stdin, "data");
    await writer.close();
    break;
  }
  case "lose": {
    const writer = await store.writer(ref);
    await writer.write(readFileSync(input));
    say("holding");
    await once(process.stdin, "data");
    try {
      await writer.write(Buffer.from("more"));
      say("still writing");
    } catch (error) {
      say(error instanceof CodedError ? `${error.code} ${error.message}` : String(error));
    }
    await writer.close();
    break;
  }
  case "claim": {
    say("ready");
    await once(process.stdin, "data");
    try {
      await store.writer(ref);
      say("won");
    } catch (error) {
      say(error instanceof CodedError ? error.code : String(error));
    }
    // The claim must outlast the attempts of the others.
    await once(process.stdin, "end");
    break;
  }
  case "write": {
    const bytes = readFileSync(input);
    say("ready");
    say(await writeBlob(store, ref, stream(bytes), { expected: { digest: digestOf(bytes), size: bytes.byteLength } }));
    break;
  }
  case "continue": {
    const bytes = readFileSync(input);
    const writer = await openWriter(store, ref);
    await writer.write(bytes.subarray(writer.status().offset));
    say(await writer.commit());
    break;
  }
  default:
    throw new Error(`unknown mode ${mode}`);
}
await store.close();
