import { CodedError } from "@varve/errors";

export interface LabelUpdate {
  readonly changes: Readonly<Record<string, string | undefined>>;
  /** All other labels go. */
  readonly replace: boolean;
}

/**
 * Which labels an update is to change. Without paths, or with `labels`, all are replaced; `labels.NAME` changes one, and removes it when
 * the new value is missing or empty.
 *
 * @throws ERR_INVALID_ARGUMENT another field is named: none can be changed
 */
export function labelUpdate(
  paths: readonly string[],
  labels: Readonly<Record<string, string>>,
  subject: string,
): LabelUpdate {
  if (paths.length === 0 || paths.includes("labels")) return { changes: labels, replace: true };
  const changes: Record<string, string | undefined> = Object.create(null);
  for (const path of paths) {
    if (!path.startsWith("labels.")) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `${subject}: field ${path} cannot be changed`);
    }
    const name = path.slice("labels.".length);
    const value = Object.hasOwn(labels, name) ? labels[name] : undefined;
    changes[name] = value === "" ? undefined : value;
  }
  return { changes, replace: false };
}

/** The paths that make `labelUpdate` of the other side what is asked for here. */
export function labelPaths(changes: Readonly<Record<string, string | undefined>>, replace: boolean): string[] {
  return replace ? ["labels"] : Object.keys(changes).map((name) => `labels.${name}`);
}
