import { labelGcBackRefPrefix, labelGcConditionPrefix, labelGcRefPrefix, labelGcRoot } from "@varve/content";
import { labelGcExpire } from "@varve/leases";
import { timeOf } from "../expiry.ts";
import type { Labels } from "../labels.ts";
import { durationOf } from "./duration.ts";

/** On a snapshot, with a time as RFC 3339 has it: what conditions of the name `usedat` compare. */
const labelUsedAt = `${labelGcConditionPrefix}value-usedat`;
const conditionOnSnapshot = `${labelGcConditionPrefix}snapshot`;

/** What one label of an object points to, in the namespace of the object. */
interface LabelTarget {
  readonly type: string;
  /** Empty but for snapshots. */
  readonly snapshotter: string;
  readonly id: string;
  readonly label: string;
}

/** The object keeps the target if the target's `usedat` is this many milliseconds ago, or less, or more. */
export interface Condition extends LabelTarget {
  readonly operator: "<" | ">";
  readonly milliseconds: number;
}

/** What the labels of one object mean to the collector. */
export interface LabelMeaning {
  /** Has `containerd.io/gc.root`, of which the value says nothing. */
  readonly root: boolean;
  /** When it stops being a root, in milliseconds since 1970; a value that is no time counts as absent. */
  readonly expires: number | undefined;
  readonly usedAt: number | undefined;
  readonly references: readonly LabelTarget[];
  readonly backReferences: readonly LabelTarget[];
  readonly conditions: readonly Condition[];
}

const nothing: LabelMeaning = {
  root: false,
  expires: undefined,
  usedAt: undefined,
  references: [],
  backReferences: [],
  conditions: [],
};

/**
 * Reads labels as containerd does (behaviours 2.4).
 *
 * @param types what can be referred to beside snapshots; a label for another type, `gc.ref.contentbad` say, means nothing
 */
export function meaningOf(labels: Labels, types: ReadonlySet<string>): LabelMeaning {
  const references: LabelTarget[] = [];
  const backReferences: LabelTarget[] = [];
  const conditions: Condition[] = [];
  for (const [label, value] of Object.entries(labels)) {
    if (label.startsWith(labelGcRefPrefix)) {
      references.push(...targetOf(label, label.slice(labelGcRefPrefix.length), value, types));
    } else if (label.startsWith(labelGcBackRefPrefix)) {
      backReferences.push(...targetOf(label, label.slice(labelGcBackRefPrefix.length), value, types));
    } else if (label.startsWith(conditionOnSnapshot)) {
      conditions.push(...conditionsOf(label, label.slice(conditionOnSnapshot.length), value));
    }
  }
  const [expires, usedAt] = [timeIn(labels, labelGcExpire), timeIn(labels, labelUsedAt)];
  const root = Object.hasOwn(labels, labelGcRoot);
  if (!root && expires === undefined && usedAt === undefined && isEmpty(references, backReferences, conditions)) {
    return nothing;
  }
  return { root, expires, usedAt, references, backReferences, conditions };
}

function isEmpty(...lists: readonly (readonly unknown[])[]): boolean {
  return lists.every((list) => list.length === 0);
}

function timeIn(labels: Labels, label: string): number | undefined {
  const text = Object.hasOwn(labels, label) ? labels[label] : undefined;
  return text === undefined ? undefined : timeOf(text)?.getTime();
}

/** @param kind what follows the prefix: `content`, `content.l.0`, `content/a`, `snapshot.overlay`, `snapshot.overlay/a` */
function targetOf(label: string, kind: string, id: string, types: ReadonlySet<string>): readonly LabelTarget[] {
  if (id === "") return [];
  if (kind.startsWith("snapshot.")) {
    // A snapshotter may have dots in its name, so that only a slash ends it.
    const [snapshotter = ""] = kind.slice("snapshot.".length).split("/", 1);
    return snapshotter === "" ? [] : [{ type: "snapshot", snapshotter, id, label }];
  }
  const [type = ""] = kind.split(/[./]/, 1);
  return types.has(type) ? [{ type, snapshotter: "", id, label }] : [];
}

/** @param value conditions with commas between, of which one is enough, and the key of a snapshot: `usedat<2h|key` */
function conditionsOf(label: string, kind: string, value: string): readonly Condition[] {
  if (!/^[./]/.test(kind)) return [];
  const [snapshotter = ""] = kind.slice(1).split("/", 1);
  const bar = value.indexOf("|");
  const id = value.slice(bar + 1);
  if (bar < 0 || id === "" || snapshotter === "") return [];
  const conditions: Condition[] = [];
  for (const text of value.slice(0, bar).split(",")) {
    const [, operator, duration] = /^usedat([<>])(.+)$/s.exec(text) ?? [];
    const milliseconds = durationOf(duration ?? "");
    if ((operator === "<" || operator === ">") && milliseconds !== undefined) {
      conditions.push({ type: "snapshot", snapshotter, id, label, operator, milliseconds });
    }
  }
  return conditions;
}
