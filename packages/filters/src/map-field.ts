/** The value under a name in a map of labels: `labels.a.b` and `labels."a.b"` both mean the name `a.b`. */
export function mapField(labels: Readonly<Record<string, string>>, path: readonly string[]): string | undefined {
  const name = path.join(".");
  return Object.hasOwn(labels, name) ? labels[name] : undefined;
}
