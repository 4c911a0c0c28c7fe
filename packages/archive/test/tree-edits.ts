import {
  chmodSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  lremovexattr,
  lsetxattr,
  makedev,
  mknodat,
  S_IFCHR,
  S_IFIFO,
  utimensat,
} from "@varve/syscalls";
import { type Arbitrary, array, constantFrom, integer, nat, record, tuple } from "fast-check";

/** One change of a tree. */
export interface Edit {
  readonly kind: Making | Changing;
  /** Which of the directories there are, or of all names there are. */
  readonly place: number;
  /** Another of all names there are. */
  readonly other: number;
  /** The last name of what is made; one character a byte. */
  readonly name: string;
  /** Chooses among a few contents, owners, modes or values. */
  readonly choice: number;
  readonly mtime: { readonly seconds: number; readonly nanoseconds: number };
}

type Making = keyof typeof making;
type Changing = keyof typeof changing;

const modes = [0o644, 0o755, 0o4755, 0o2750, 0o1777, 0o600];
const contents = ["", "one", "two", "x".repeat(700), "y".repeat(700)];
const texts = ["a", "b/c", "../b", "/nowhere/x", "../../../../nowhere", "t".repeat(150)];
/** Version 2, not effective: CAP_CHOWN and CAP_DAC_OVERRIDE. */
const capabilities = ["0100000201000000000000000000000000000000", "0100000202000000000000000000000000000000"];

const making = {
  directory: (at: Buffer): void => mkdirSync(at),
  file: (at: Buffer, { choice }: Edit): void => writeFileSync(at, contents[choice % 5] ?? "", { flag: "wx" }),
  symlink: (at: Buffer, { choice }: Edit): void => symlinkSync(texts[choice % 6] ?? "", at),
  fifo: (at: Buffer): void => mknodat(AT_FDCWD, at, S_IFIFO | 0o600, 0),
  device: (at: Buffer, { choice }: Edit): void => mknodat(AT_FDCWD, at, S_IFCHR | 0o600, makedev(1, 3 + (choice % 3))),
  link: (at: Buffer, _: Edit, other: Buffer): void => linkSync(other, at),
};

const changing = {
  // In place: the name stays linked to what it is linked to.
  write: (at: Buffer, { choice }: Edit): void => {
    if (lstatSync(at).isFile()) writeFileSync(at, contents[choice % 5] ?? "", { flag: "r+" });
  },
  remove: (at: Buffer): void => rmSync(at, { recursive: true }),
  // All that is in a directory, and then something new.
  empty: (at: Buffer, { choice }: Edit): void => {
    if (!lstatSync(at).isDirectory()) return;
    for (const name of readdirSync(at, "buffer")) rmSync(join(at, name), { recursive: true });
    if (choice % 2 === 0) writeFileSync(join(at, Buffer.from("a")), "new");
  },
  remake: (at: Buffer, { choice }: Edit): void => {
    rmSync(at, { recursive: true });
    if (choice % 3 === 0) writeFileSync(at, "two");
    else mkdirSync(at);
  },
  mode: (at: Buffer, { choice }: Edit): void => {
    if (!lstatSync(at).isSymbolicLink()) chmodSync(at, modes[choice % 6] ?? 0);
  },
  owner: (at: Buffer, { choice }: Edit): void => lchownSync(at, choice % 3, (choice >> 2) % 3),
  attribute: (at: Buffer, { choice }: Edit): void =>
    lsetxattr(at, `user.${choice % 2}\u00e9`, Buffer.from([choice % 3, 0, 10]), 0),
  capability: (at: Buffer, { choice }: Edit): void => {
    if (!lstatSync(at).isFile()) return;
    lsetxattr(at, "security.capability", Buffer.from(capabilities[choice % 2] ?? "", "hex"), 0);
  },
  unset: (at: Buffer, { choice }: Edit): void => lremovexattr(at, `user.${choice % 2}\u00e9`),
  time: (): void => undefined,
};

const kinds = [...Object.keys(making), ...Object.keys(changing)] as Edit["kind"][];
const often: readonly Edit["kind"][] = ["directory", "directory", "directory", "file", "file", "link", "link"];

let nanoseconds = 0;

/** Any changes. Times are whole seconds of which there are few, or have a fraction that nothing else has. */
export const edits: Arbitrary<Edit[]> = array(
  tuple(
    record({
      kind: constantFrom(...kinds, ...often),
      place: nat(1000),
      other: nat(1000),
      name: constantFrom("a", "b", "c", "d", "\u00ff\n", "n".repeat(120)),
      choice: nat(30),
    }),
    integer({ min: -2, max: 2 }),
    nat(2),
  ).map(([each, seconds, fraction]) => {
    nanoseconds = (nanoseconds + 1) % 1_000_000_000;
    return { ...each, mtime: { seconds, nanoseconds: fraction === 0 ? nanoseconds : 0 } };
  }),
  { maxLength: 40, size: "max" },
);

/** Makes changes in a tree as far as they can be made, and sets the time of what was changed. */
export function edit(root: string, changes: readonly Edit[]): void {
  for (const each of changes) {
    try {
      change(root, each);
    } catch (error) {
      // What cannot be done: a hard link to a directory, an attribute of a link, or one that is not there.
      if (!(error instanceof Error && "code" in error)) throw error;
    }
  }
}

function change(root: string, each: Edit): void {
  const all = list(Buffer.from(root));
  const pick = (from: readonly Buffer[], number: number): Buffer => from[number % from.length] ?? Buffer.from(root);
  const other = pick(all, each.other);
  let at = pick(all, each.place);
  if (isMaking(each.kind)) {
    const directories = [Buffer.from(root), ...all.filter((path) => lstatSync(path).isDirectory())];
    at = join(pick(directories, each.place), Buffer.from(each.name, "latin1"));
    if (each.choice % 2 === 0) rmSync(at, { recursive: true, force: true });
    making[each.kind](at, each, other);
  } else if (all.length > 0) changing[each.kind](at, each);
  utimensat(AT_FDCWD, at, { mtime: each.mtime }, AT_SYMLINK_NOFOLLOW);
}

function isMaking(kind: Edit["kind"]): kind is Making {
  return kind in making;
}

/** All that is in a directory, at any depth, in the order of the bytes. */
function list(root: Buffer): Buffer[] {
  const found: Buffer[] = [];
  const pending = [root];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (path !== root) found.push(path);
    if (!lstatSync(path).isDirectory()) continue;
    const names = readdirSync(path, "buffer").toSorted((a, b) => Buffer.compare(b, a));
    for (const name of names) pending.push(join(path, name));
  }
  return found;
}

function join(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from("/"), name]);
}
