/** A store of containerd's that our suites are run over. */
export type ContainerdStore = "content" | "overlayfs" | "native";

/** A case of a suite that a store of containerd's does not keep. */
export interface Disagreement {
  /** As the suite names it. */
  readonly name: string;
  readonly stores: readonly ContainerdStore[];
  /** `defect`: what its own interfaces promise is not kept. `choice`: we promise more, or something else. */
  readonly kind: "defect" | "choice";
  readonly why: string;
}

const onlySha256 =
  "Its store computes sha256 whatever digest is expected, so a blob of another algorithm is never committed.";
const noExpected =
  "Its store records the total of an ingest and not the digest, so nobody but the writer knows what is expected.";
const emptyLabel = "A label with an empty value is one that is to be removed, also when it is given to something new.";
const abortLater =
  "An ingest that is aborted is taken out of the records only: its lock stays with its writer, who may still commit.";

const both = ["overlayfs", "native"] as const;

/**
 * Where containerd 1.6.20, as Debian has it, does something else than our suites ask for, when it is used through `connectContainerd`.
 * What could be mended on the way is not here. `docs/containerd-differences.md` says the same for people.
 */
export const disagreements: readonly Disagreement[] = [
  ...[
    "the running digest uses the algorithm of the expected one",
    "a commit may ask for another algorithm than the writer was opened with",
    "what is missing can be copied from a reader of another store",
    "an abort while a commit runs leaves either the blob or nothing",
    "a signal while a commit runs leaves the blob or what it takes to finish",
    "a walk shows what one of its filters lets through, by digest and size",
  ].map((name) => ({ name, stores: ["content"] as const, kind: "defect" as const, why: onlySha256 })),
  ...[
    "closing keeps the bytes and the next writer continues there",
    "an ingest can be continued by another instance of the store",
  ].map((name) => ({ name, stores: ["content"] as const, kind: "choice" as const, why: noExpected })),
  ...[
    "another instance can abort an ingest under its writer",
    "a writer whose ingest was aborted by another instance does not free the ref of the next",
  ].map((name) => ({ name, stores: ["content"] as const, kind: "defect" as const, why: abortLater })),
  { name: "labels given at the commit are kept with the blob", stores: ["content"], kind: "choice", why: emptyLabel },
  { name: "labels are those given at the creation", stores: both, kind: "choice", why: emptyLabel },
  { name: "an update changes the labels it names and nothing else", stores: both, kind: "choice", why: emptyLabel },
  {
    name: "a cleanup takes active snapshots and views whose files are gone, and no committed one",
    stores: both,
    kind: "choice",
    why: "Its cleanup goes from the files to the records, so it never sees a record without files.",
  },
  {
    name: "a snapshot whose files are replaced by a link cannot be committed",
    stores: both,
    kind: "choice",
    why: "It does not look at what stands in the place of the files, and follows a link.",
  },
  {
    name: "the root of an empty snapshot was changed in 1970",
    stores: both,
    kind: "choice",
    why: "The root of an empty snapshot has the time when it was made.",
  },
  {
    name: "mode and owner of the root go with a commit to the next generations",
    stores: ["overlayfs"],
    kind: "defect",
    why: "A new upper directory gets the owner of the one below, but always mode 0755, which then hides the mode below (U-OVL.4).",
  },
  {
    name: "extended attributes of files and directories go to the next generations",
    stores: ["overlayfs"],
    kind: "defect",
    why: "A new upper directory hides the extended attributes of the root below.",
  },
  {
    name: "modes, owners, times and links go unchanged to the next generations",
    stores: ["native"],
    kind: "defect",
    why: "Copying the parent sets the times of a directory before its contents are copied, which changes them.",
  },
];

/** The cases that a store does not keep. */
export function disagreementsOf(store: ContainerdStore): ReadonlySet<string> {
  return new Set(disagreements.filter(({ stores }) => stores.includes(store)).map(({ name }) => name));
}
