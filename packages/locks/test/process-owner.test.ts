import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { Worker } from "node:worker_threads";
import { currentOwner, isOwnerAlive, ownerFromFileName, ownerToFileName, sleep } from "@varve/locks";
import { describe, expect, test } from "vitest";

const linux = process.platform === "linux";
const privileged = linux && process.geteuid?.() === 0;
const hasPython = spawnSync("python3", ["--version"]).status === 0;
/** Of exit(2), which ends one thread. */
const exitNumber = process.arch === "arm64" ? 93 : 60;
const source = new URL("../src/process-owner.ts", import.meta.url).href;

interface StartedOwner {
  readonly child: ChildProcess;
  readonly owner: string;
  /** Whether it takes itself for alive, and a process with its id that was started earlier. */
  readonly self: string;
}

/** A process that prints its own owner name and then waits; `launcher` starts it if given. */
async function startOwner(launcher: readonly string[] = []): Promise<StartedOwner> {
  const script = `const { currentOwner, isOwnerAlive } = await import(${JSON.stringify(source)});
    const [pid, start, ...rest] = currentOwner().split("/");
    const earlier = [pid, start - 1, ...rest].join("/");
    console.log(currentOwner(), isOwnerAlive(currentOwner()), isOwnerAlive(earlier)); setInterval(() => {}, 1000);`;
  const node = [process.execPath, "--input-type=module", "--no-warnings", "-e", script];
  const [program = "", ...parameters] = [...launcher, ...node];
  const child = spawn(program, parameters, { stdio: ["ignore", "pipe", "inherit"] });
  const [owner = "", ...self] = (await firstLine(child.stdout)).split(" ");
  return { child, owner, self: self.join(" ") };
}

async function firstLine(stream: Readable): Promise<string> {
  const [line]: unknown[] = await once(stream, "data");
  return String(line).trim();
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

describe("an owner", () => {
  test("is alive while its process is", () => {
    expect(currentOwner()).toMatch(new RegExp(`^${process.pid}/`));
    expect(currentOwner()).toBe(currentOwner());
    expect(isOwnerAlive(currentOwner())).toBe(true);
  });

  test("is the same in every thread of a process", async () => {
    const script = `const { parentPort } = require("node:worker_threads");
      import(${JSON.stringify(source)}).then(({ currentOwner }) => parentPort.postMessage(currentOwner()));`;
    const worker = new Worker(script, { eval: true });
    const [owner] = await once(worker, "message");
    await worker.terminate();
    expect(owner).toBe(currentOwner());
  });

  // D9
  test("another process's owner is alive until it is killed, and dead at once then", async () => {
    const { child, owner } = await startOwner();
    expect(owner.startsWith(`${child.pid}/`)).toBe(true);
    try {
      expect(isOwnerAlive(owner)).toBe(true);
    } finally {
      await end(child);
    }
    expect(isOwnerAlive(owner)).toBe(false);
  });

  test.skipIf(!privileged)(
    "is alive for a process that cannot read which boot this is (privileged: hides it)",
    async () => {
      const script = `const { isOwnerAlive } = await import(${JSON.stringify(source)});
      console.log(isOwnerAlive(${JSON.stringify(currentOwner())}));`;
      const hide = 'mount -t tmpfs none /proc/sys/kernel/random && exec "$0" --input-type=module --no-warnings -e "$1"';
      const child = spawn("unshare", ["-m", "sh", "-c", hide, process.execPath, script], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      expect(await firstLine(child.stdout)).toBe("true");
    },
  );

  test.skipIf(!linux)("is dead when its process id was given to another process (needs /proc)", () => {
    const [pid, start, boot, namespace] = currentOwner().split("/");
    expect(isOwnerAlive(`${pid}/${Number(start) - 1}/${boot}/${namespace}`)).toBe(false);
    expect(isOwnerAlive(`${process.ppid}/${start}/${boot}/${namespace}`)).toBe(false);
  });

  test.skipIf(!linux)("is judged as before when its name is of the older form (needs /proc)", () => {
    const [pid, start, boot] = currentOwner().split("/");
    expect(isOwnerAlive(`${pid}/${start}/${boot}`)).toBe(true);
    expect(isOwnerAlive(`${pid}/${Number(start) - 1}/${boot}`)).toBe(false);
  });

  // K18
  test.skipIf(!privileged)("of another pid namespace is alive until the next boot (needs root on Linux)", async () => {
    const launcher = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    const { child, owner, self } = await startOwner(launcher);
    expect(self).toBe("true false");
    expect(owner.split("/")[0]).toBe("1");
    expect(isOwnerAlive(owner)).toBe(true);
    await end(child);
    // Its namespace is gone too, but nothing here shows that.
    expect(isOwnerAlive(owner)).toBe(true);
    const [pid, start, boot = "", namespace] = owner.split("/");
    const later = boot.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
    expect(isOwnerAlive(`${pid}/${start}/${later}/${namespace}`)).toBe(false);
  });

  test.skipIf(!privileged)(
    "is judged by its id alone where /proc shows another pid namespace (needs root on Linux)",
    async () => {
      const { child, self } = await startOwner(["unshare", "--pid", "--fork", "--kill-child"]);
      expect(self).toBe("true true");
      await end(child);
    },
  );

  test("may stand in a file's name and is read back from there", () => {
    const name = ownerToFileName(currentOwner());
    expect(name).toMatch(/^[0-9a-f_-]+$/);
    expect(ownerFromFileName(name)).toBe(currentOwner());
    expect(ownerFromFileName(ownerToFileName("12//"))).toBe("12//");
    for (const other of ["", "abc", "12", "12/3/", "12_3", "0_3_4_5", "12_3_4_5_6", `${name}x`]) {
      expect(ownerFromFileName(other)).toBeUndefined();
    }
  });

  test.skipIf(!linux)("is dead after a reboot, even with the same id and start time (needs /proc)", () => {
    const [pid, start, , namespace] = currentOwner().split("/");
    for (const rest of ["", `/${namespace}`, "/1"]) {
      expect(isOwnerAlive(`${pid}/${start}/00000000-0000-4000-8000-000000000000${rest}`)).toBe(false);
    }
  });

  test.skipIf(!linux)("is dead as a zombie (needs /proc)", async () => {
    // The child ends when it is told to; by then the shell is a `sleep`, which never asks for it.
    const shell = spawn("sh", ["-c", "exec 3<&0; (read line <&3) & echo $!; exec sleep 1000"], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    try {
      const pid = Number(await firstLine(shell.stdout));
      const boot = currentOwner().split("/")[2];
      await until(() => readFileSync(`/proc/${shell.pid}/comm`, "utf8") === "sleep\n");
      const owner = `${pid}/${statFields(pid)[19]}/${boot}`;
      expect(isOwnerAlive(owner)).toBe(true);
      shell.stdin.end("\n");
      await until(() => statFields(pid)[0] === "Z");
      expect(isOwnerAlive(owner)).toBe(false);
    } finally {
      await end(shell);
    }
  });

  test.skipIf(!linux || !hasPython)(
    "is alive while a thread of it is there, though its first one has ended (needs /proc and python3)",
    async () => {
      const script = `import ctypes, threading, time
threading.Thread(target=time.sleep, args=(1000,)).start()
print("ready", flush=True)
ctypes.CDLL(None).syscall(${exitNumber}, 0)`;
      const child = spawn("python3", ["-c", script], { stdio: ["ignore", "pipe", "inherit"] });
      let owner = "";
      try {
        await firstLine(child.stdout);
        const pid = child.pid ?? 0;
        await until(() => statFields(pid)[0] === "Z");
        owner = `${pid}/${statFields(pid)[19]}/${currentOwner().split("/")[2]}`;
        expect(isOwnerAlive(owner)).toBe(true);
      } finally {
        await end(child);
      }
      expect(isOwnerAlive(owner)).toBe(false);
    },
  );

  test("without a start time is judged by its id alone", () => {
    expect(isOwnerAlive(`${process.pid}//`)).toBe(true);
    expect(isOwnerAlive("4194304//")).toBe(false);
  });

  test.each([
    "",
    "/",
    "//",
    "0//",
    "0/0/",
    "-1//",
    "1",
    "1/2",
    "a/b/c",
    "1/2/3/4",
    "99999999999/1/",
    "9999999999/1/",
    "../1/2",
    "1 /2/3",
  ])("that is no owner's name (%j) is dead", (text) => {
    expect(isOwnerAlive(text)).toBe(false);
  });
});

/** The fields of /proc/PID/stat from the state on. */
function statFields(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

async function until(holds: () => boolean): Promise<void> {
  if (holds()) return;
  await sleep(5);
  await until(holds);
}
