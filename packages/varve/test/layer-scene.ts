import { execFile } from "node:child_process";
import { chmod, link, mkdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Outcome, RunOptions } from "./command.ts";
import { varve } from "./command.ts";
import { tempDirectory } from "./temp.ts";

export const run: typeof execFile.__promisify__ = promisify(execFile);

/** A directory with a tree `lower`, and `upper`, which is that tree with changes of every kind. */
export interface LayerScene extends AsyncDisposable {
  readonly lower: string;
  readonly upper: string;
  /** A path beside them. */
  path(name: string): string;
  /** Makes an empty directory beside them. */
  directory(name: string): Promise<string>;
  varve(args: readonly string[], options?: RunOptions): Promise<Outcome>;
}

export async function layerScene(): Promise<LayerScene> {
  const temp = await tempDirectory();
  const path = (name: string): string => join(temp.path, name);
  const directory = async (name: string): Promise<string> => {
    await mkdir(path(name));
    return path(name);
  };
  await makeLower(await directory("lower"));
  await run("cp", ["-a", path("lower"), path("upper")]);
  await changeIt(path("upper"));
  return {
    lower: path("lower"),
    upper: path("upper"),
    path,
    directory,
    // The environment of whoever runs the tests must not count.
    varve: (args, options) => varve(args, { ...options, env: { SOURCE_DATE_EPOCH: undefined, ...options?.env } }),
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

async function makeLower(root: string): Promise<void> {
  for (const name of ["etc", "opt/app/deep", "var"]) await mkdir(join(root, name), { recursive: true });
  await writeFile(join(root, "etc/passwd"), "root\n");
  await writeFile(join(root, "etc/group"), "wheel\n");
  await writeFile(join(root, "opt/app/deep/file"), "below");
  await writeFile(join(root, "var/same"), "same");
  await link(join(root, "etc/group"), join(root, "etc/linked"));
}

async function changeIt(root: string): Promise<void> {
  await writeFile(join(root, "etc/passwd"), "root\nuser\n");
  await rm(join(root, "etc/linked"));
  await rm(join(root, "opt"), { recursive: true });
  await mkdir(join(root, "opt"));
  await writeFile(join(root, "opt/new"), "new");
  await chmod(join(root, "opt/new"), 0o4755);
  await symlink("new", join(root, "opt/link"));
  await link(join(root, "opt/new"), join(root, "opt/hard"));
  // Not UTF-8, and with what would clear a terminal.
  await run(
    "touch",
    [Buffer.from("odd\u001B[2J")].map(String).map((name) => join(root, name)),
  );
  await run("sh", ["-c", "touch \"$(printf 'odd\\377')\""], { cwd: root });
  await utimes(join(root, "opt/new"), 1_600_000_000, 1_600_000_000.5);
}

/** What is in a directory, as find(1) tells it: type, mode, owner, size of files, links, time, path. */
export async function tree(root: string): Promise<string> {
  const format = "%y %m %U:%G %n %l %T@ %P\\0";
  const { stdout } = await run("find", [".", "-printf", format], { cwd: root, encoding: "latin1" });
  const lines = stdout.split("\0").toSorted();
  const sums = await run("sh", ["-c", "find . -type f -print0 | sort -z | xargs -0r sha256sum"], {
    cwd: root,
    encoding: "latin1",
  });
  return `${lines.join("\n")}\n${sums.stdout}`;
}
