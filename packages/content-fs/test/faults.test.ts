import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const program = fileURLToPath(new URL("faults-child.ts", import.meta.url));
const run = promisify(execFile);

const faults: [string, string][] = [
  ["ENOSPC", "write open mkdir rename fdatasync"], // F01
  ["EDQUOT", "write open mkdir rename fdatasync"], // F03
  ["EROFS", "open mkdir rename unlink rm chmod fchmod"], // F05
  ["EIO", "write fdatasync open rename unlink rm chmod fchmod futimes ftruncate copyFile"], // F06
];

// F01, F03, F05, F06, I7
test.each(faults)("%s at any call is reported by its name, and the same work done again succeeds", async (...fault) => {
  const { stdout } = await run(process.execPath, [program, ...fault]);
  const { failed, problems } = JSON.parse(stdout) as { failed: Record<string, number>; problems: string[] };
  expect(problems).toEqual([]);
  expect(Object.values(failed).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(10);
});

// F04
test("running out of descriptors for a moment is not even noticed", async () => {
  const { stdout } = await run(process.execPath, [program, "EMFILE", "open"]);
  const { failed, problems } = JSON.parse(stdout) as { failed: Record<string, number>; problems: string[] };
  expect(problems).toEqual([]);
  expect(failed["openSync"]).toBeGreaterThan(3);
});
