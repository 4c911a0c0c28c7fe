import { InvalidArgumentError } from "commander";

/** Collects the values of an option that may be given several times. */
export function collectValue(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}

/** Collects labels, `name=value`; the value may hold further equals signs. Of two with one name the last one counts. */
export function collectLabel(
  value: string,
  earlier: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const equals = value.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("Not NAME=VALUE.");
  return Object.fromEntries([...Object.entries(earlier), [value.slice(0, equals), value.slice(equals + 1)]]);
}
