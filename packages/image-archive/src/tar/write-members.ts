import { pack } from "tar-stream";
import type { Pack } from "tar-stream";
import { drained } from "./drained.ts";

/** What is written as one entry of a tar: a directory, or a file of known size. */
export interface Member {
  readonly name: string;
  /** Absent: a directory. */
  readonly file?: { readonly size: number; readonly content: () => AsyncIterable<Uint8Array> } | undefined;
}

interface Failure {
  readonly error: unknown;
}

/** Yields a tar of the members, in their order. Times, owners and modes are fixed, so the same members give the same bytes. */
export async function* writeMembers(members: readonly Member[]): AsyncGenerator<Uint8Array, void, undefined> {
  const packer = pack();
  let failure: Failure | undefined;
  const filling = fill(packer, members, (error) => {
    failure ??= { error };
  });
  try {
    for await (const chunk of packer) if (chunk instanceof Uint8Array) yield chunk;
  } catch (error) {
    throw failure === undefined ? error : failure.error;
  } finally {
    packer.destroy();
    await filling;
  }
}

/** Never rejects: what a member's content throws is told, and ends the packer. */
async function fill(packer: Pack, members: readonly Member[], onFailure: (error: unknown) => void): Promise<void> {
  try {
    for (const member of members) {
      if (packer.destroying) return;
      await add(packer, member);
    }
    packer.finalize();
  } catch (error) {
    onFailure(error);
    packer.destroy(new Error("a member failed", { cause: error }));
  }
}

async function add(packer: Pack, { name, file }: Member): Promise<void> {
  const fixed = { name, mtime: new Date(0), uid: 0, gid: 0 };
  if (file === undefined) {
    packer.entry({ ...fixed, type: "directory", mode: 0o755 });
    return;
  }
  const sink = packer.entry({ ...fixed, type: "file", mode: 0o644, size: file.size });
  // Without a listener an error of the sink would end the process; whoever destroyed it knows why.
  sink.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => sink.once("close", resolve));
  for await (const chunk of file.content()) {
    if (sink.destroying) return;
    if (!sink.write(chunk)) await drained(sink);
  }
  sink.end(undefined);
  await closed;
}
