import { access, writeFile } from "node:fs/promises";

/** Builds what is to be at `path`, unless an earlier call in any process has finished it. */
export async function buildOnce(path: string, build: () => Promise<unknown>): Promise<void> {
  const stamp = `${path}.complete`;
  const isBuilt = await access(stamp).then(
    () => true,
    () => false,
  );
  if (isBuilt) return;
  await build();
  await writeFile(stamp, "");
}
