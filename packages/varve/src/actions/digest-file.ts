import { writeFileWhole } from "./write-file-whole.ts";

/** The digest alone, without an end of line, as skopeo writes it. */
export async function writeDigestFile(path: string | undefined, digest: string): Promise<void> {
  if (path !== undefined) await writeFileWhole(path, bytesOf(digest));
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array, void, undefined> {
  yield Buffer.from(text);
}
