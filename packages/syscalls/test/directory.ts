import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close, O_DIRECTORY, O_PATH, AT_FDCWD, openat2 } from "@varve/syscalls";

/** A temporary directory with a descriptor of it; disposing closes and removes it. */
export interface TestDirectory extends Disposable {
  readonly path: string;
  readonly fd: number;
}

export function testDirectory(): TestDirectory {
  const path = mkdtempSync(join(tmpdir(), "varve-syscalls-"));
  const fd = openat2(AT_FDCWD, path, { flags: O_PATH | O_DIRECTORY });
  return {
    path,
    fd,
    [Symbol.dispose]() {
      close(fd);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

export const root: boolean = process.geteuid?.() === 0;
