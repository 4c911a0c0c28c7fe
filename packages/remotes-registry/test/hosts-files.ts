import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface FileTree extends AsyncDisposable {
  readonly path: string;
  write(name: string, text: string): Promise<string>;
}

/** A directory with the given files, gone at the end of the scope. */
export async function fileTree(files: Readonly<Record<string, string>> = {}): Promise<FileTree> {
  const path = await mkdtemp(join(tmpdir(), "varve-hosts-"));
  const write = async (name: string, text: string): Promise<string> => {
    const file = join(path, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    return file;
  };
  for (const [name, text] of Object.entries(files)) await write(name, text);
  return { path, write, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
