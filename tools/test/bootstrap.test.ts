import { spawn } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const packageManager = "pnpm@0.0.1";

/** Stands for npm's launcher: notes the call, then "installs" a Node. */
const fakeNpx = `#!/bin/sh
echo "$@" >> "$VARVE_TEST_CALLS"
echo progress on standard output
if [ -n "$VARVE_TEST_PROBLEM" ]; then echo "$VARVE_TEST_PROBLEM" >&2; exit 7; fi
sleep 0.3
mkdir -p node_modules/.bin && ln -sf "$VARVE_TEST_NODE" node_modules/.bin/node
`;

interface Clone extends AsyncDisposable {
  readonly root: string;
  /** The calls of npx so far. */
  calls(): Promise<readonly string[]>;
  run(problem?: string): Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }>;
}

async function createClone(): Promise<Clone> {
  const root = await mkdtemp(join(tmpdir(), "varve-bootstrap-"));
  await cp(join(import.meta.dirname, "../bootstrap"), join(root, "tools/bootstrap"), { recursive: true });
  await mkdir(join(root, "packages/one"), { recursive: true });
  await writeFile(join(root, "packages/one/package.json"), "{}");
  await writeFile(join(root, "package.json"), JSON.stringify({ packageManager }));
  await writeFile(join(root, "pnpm-workspace.yaml"), "");
  await writeFile(join(root, "pnpm-lock.yaml"), "");
  await mkdir(join(root, "bin"));
  await writeFile(join(root, "bin/npx"), fakeNpx);
  await chmod(join(root, "bin/npx"), 0o755);
  await symlink(process.execPath, join(root, "bin/node"));
  const log = join(root, "calls");
  await writeFile(log, "");
  return {
    root,
    async calls() {
      return (await readFile(log, "utf8")).split("\n").filter(Boolean);
    },
    run(problem = "") {
      const env = {
        PATH: `${join(root, "bin")}:/usr/bin:/bin`,
        VARVE_TEST_CALLS: log,
        VARVE_TEST_NODE: process.execPath,
        VARVE_TEST_PROBLEM: problem,
      };
      return collect(["tools/bootstrap/run.mjs", "node", "-p", "40 + 2"], root, env);
    },
    async [Symbol.asyncDispose]() {
      await rm(root, { recursive: true });
    },
  };
}

function collect(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): ReturnType<Clone["run"]> {
  const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<Clone["run"]>>>();
  const child = spawn(process.execPath, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (output.stdout += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (output.stderr += chunk));
  child.once("close", (status) => resolve({ status, ...output }));
  return promise;
}

test("the first run installs with the frozen lockfile, and the command's output stays clean", async () => {
  await using clone = await createClone();
  const result = await clone.run();
  expect(result).toMatchObject({ status: 0, stdout: "42\n" });
  expect(result.stderr).toContain("bootstrap: ready");
  const calls = await clone.calls();
  expect(calls).toHaveLength(1);
  expect(calls[0]).toContain(`${packageManager} install --frozen-lockfile`);
});

test("the second run installs nothing and says nothing", async () => {
  await using clone = await createClone();
  await clone.run();
  await expect(clone.run()).resolves.toEqual({ status: 0, stdout: "42\n", stderr: "" });
  await expect(clone.calls()).resolves.toHaveLength(1);
});

test("a changed manifest of any package makes the next run install again", async () => {
  await using clone = await createClone();
  await clone.run();
  await writeFile(join(clone.root, "packages/one/package.json"), '{ "dependencies": {} }');
  await clone.run();
  await expect(clone.calls()).resolves.toHaveLength(2);
});

test("of several runs at once one installs, the others wait for it", async () => {
  await using clone = await createClone();
  const results = await Promise.all([clone.run(), clone.run(), clone.run()]);
  for (const result of results) expect(result).toMatchObject({ status: 0, stdout: "42\n" });
  await expect(clone.calls()).resolves.toHaveLength(1);
});

test("a registry that cannot be reached is told in one line, after a second try, and the next run can succeed", async () => {
  await using clone = await createClone();
  const result = await clone.run("getaddrinfo ENOTFOUND registry.example");
  expect(result).toMatchObject({ status: 1, stdout: "" });
  const lines = result.stderr.trimEnd().split("\n");
  expect(lines.slice(1)).toEqual([expect.stringContaining("bootstrap: the npm registry cannot be reached (")]);
  await expect(clone.calls()).resolves.toHaveLength(2);
  await expect(clone.run()).resolves.toMatchObject({ status: 0 });
});

test("a problem that stays is not tried twice", async () => {
  await using clone = await createClone();
  const result = await clone.run("ENOSPC: no space left on device");
  expect(result.stderr).toContain("bootstrap: no space left on the disk (");
  await expect(clone.calls()).resolves.toHaveLength(1);
});

test("the exit status of the command is passed on", async () => {
  await using clone = await createClone();
  await clone.run();
  await writeFile(join(clone.root, "exit.mjs"), "process.exitCode = 5;");
  const env = { PATH: "/usr/bin:/bin" };
  await expect(collect(["tools/bootstrap/run.mjs", "exit.mjs"], clone.root, env)).resolves.toMatchObject({ status: 5 });
});
