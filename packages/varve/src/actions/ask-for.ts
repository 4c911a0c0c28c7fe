import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";

interface AskOptions {
  /** What is typed is not shown. Default: false. */
  readonly isSecret?: boolean;
  readonly signal: AbortSignal;
}

/** Asks a question on the terminal; the question goes to standard error, as standard output is for results. */
export async function askFor(question: string, { isSecret = false, signal }: AskOptions): Promise<string> {
  // The line editor repeats every key on its output: of a secret nowhere.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: isSecret ? nowhere : process.stderr, terminal: true });
  try {
    if (isSecret) process.stderr.write(question);
    return await lines.question(isSecret ? "" : question, { signal });
  } finally {
    lines.close();
    if (isSecret) process.stderr.write("\n");
  }
}
