// A process of its own that does to the database in a directory what its second argument says.
import { closeSync, existsSync, mkdirSync, openSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import type { Database } from "@varve/sqlite";
import { insert, openIn, put } from "./temp.ts";

const [path = "", what = "", detail = ""] = process.argv.slice(2);

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Stays as it is until it is killed, without ever giving the thread back. */
function hang(): never {
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

/** Tells what each step ends with. */
async function step(name: string, call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call();
    say(JSON.stringify({ name }));
    return true;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    say(JSON.stringify({ name, code: "code" in error ? error.code : undefined, message: error.message }));
    return false;
  }
}

/** Takes descriptors until there are only `count`. Says how to give them back. */
function exhaust(count: number): () => void {
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync("/dev/null", "r"));
  } catch {
    for (const descriptor of taken.splice(0, count)) closeSync(descriptor);
  }
  return () => {
    for (const descriptor of taken.splice(0)) closeSync(descriptor);
  };
}

const tasks: Readonly<Record<string, () => Promise<void>>> = {
  /** Adds one to a number, again and again. */
  async count() {
    using database = await openIn(path);
    say("open");
    for (let round = 0; round < Number(detail); round += 1) {
      await database.write((session) => session.run("UPDATE items SET value = CAST(value AS INTEGER) + 1"));
    }
  },
  /** Writes items until it is killed, and tells of each that is written. */
  async write() {
    const database = await openIn(path, { durability: "full" });
    for (let index = 0; ; index += 1) {
      const three = [0, 1, 2].map((part) => put(database, `${detail}-${index}-${part}`));
      await Promise.all(three);
      say(`${index}`);
    }
  },
  /** Hangs within a transaction that has changed things here and outside. */
  async hang() {
    const database = await openIn(path);
    await put(database, "kept");
    await database.write((session) => {
      session.run("DELETE FROM items");
      session.run(insert, "half", "");
      mkdirSync(join(path, "half"));
      session.undo(() => rmdirSync(join(path, "half")));
      say("in the transaction");
      hang();
    });
  },
  /** Makes a database of that durability, and writes to it. */
  async make() {
    const options = { durability: detail === "none" ? "none" : "full" } as const;
    using made = await openIn(path, options);
    await put(made, "a");
    made.close();
    using again = await openIn(path, options);
    await again.note((session) => session.run(insert, "b", ""));
    again.close();
    using looked = await openIn(path, options);
    await looked.read((session) => session.all("SELECT * FROM items"));
  },
  /** Writes what a power cut may take, and then what it may not, which the disk does not take. */
  async notes() {
    const database = await openIn(path, { durability: "full" });
    // The header of the log is synced with the first.
    await step("put first", () => put(database, "first"));
    await step("note", () => database.note((session) => session.run(insert, "noted", "")));
    await step("put", () => put(database, "a"));
    process.kill(process.pid, "SIGKILL");
  },
  /** Makes something outside whose record the disk does not take, and tells whether it is there. */
  async undo() {
    const database = await openIn(path, { durability: "full" });
    const outside = join(path, "outside");
    await step("put first", () => put(database, "first"));
    const making = (): Promise<void> =>
      database.write((session) => {
        session.run(insert, "outside", "");
        mkdirSync(outside);
        session.undo(() => rmdirSync(outside));
      });
    await step("make", making);
    say(JSON.stringify({ isThere: existsSync(outside) }));
    await step("make again", making);
    say(JSON.stringify({ isThere: existsSync(outside) }));
    database.close();
  },
  /** Goes through what one does with a database, while calls of the system fail. */
  async steps() {
    const restore = detail === "" ? undefined : exhaust(Number(detail));
    let database: Database | undefined;
    const open = async (): Promise<void> => void (database = await openIn(path, { durability: "full" }));
    const isOpen = await step("open", open);
    restore?.();
    if (!isOpen) await step("open again", open);
    const opened = database;
    if (opened === undefined) return;
    // Nothing but the lock keeps others from doing the same.
    await step("work outside", () => opened.write(() => undefined));
    await step("put", () => Promise.all(["a", "b", "c"].map((name) => put(opened, name))));
    await step("take", () => opened.free((session) => session.run("DELETE FROM items")));
    opened.close();
  },
};

await tasks[what]?.();
