import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";

let shell: ChildProcessWithoutNullStreams | undefined;
let last: Promise<unknown> = Promise.resolve();

/** Runs a program from a shell that stays: to start one from here takes several times as long, for the memory there is. */
export function command(program: string, args: readonly string[]): Promise<void> {
  const outcome = last.then(async () => runIn((shell ??= start()), [program, ...args]));
  last = outcome.catch(() => undefined);
  return outcome;
}

/** Ends with this process, which does not wait for it. */
function start(): ChildProcessWithoutNullStreams {
  const child = spawn("sh");
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as unknown as { unref(): void }).unref();
  return child;
}

async function runIn({ stdin, stdout }: ChildProcessWithoutNullStreams, words: readonly string[]): Promise<void> {
  const line = words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(" ");
  const keeping = setInterval(() => undefined, 10_000);
  try {
    stdin.write(`${line} </dev/null 2>&1; echo "status $?"\n`);
    let output = "";
    while (!output.endsWith("\n") || !/^status \d+\n$/m.test(output)) {
      const [chunk] = await once(stdout, "data");
      output += String(chunk);
    }
    if (!output.endsWith("status 0\n")) throw new Error(`${line}: ${output}`);
  } finally {
    clearInterval(keeping);
  }
}
