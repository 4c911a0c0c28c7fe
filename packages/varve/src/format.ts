const units = ["B", "kB", "MB", "GB", "TB"] as const;

/** `63.3 MB`: three digits, powers of 1000. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** `1.24 s`, `2 min 05 s`. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

/** How long ago something was, in its largest unit: `45 s`, `3 min`, `2 h`, `9 d`. */
export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

// What the store notes for itself: there are many of them, and what they say has columns and commands of its own.
const bookkeeping = /^containerd\.io\/(?:gc\.(?:ref\.|bref\.|expire$)|distribution\.source\.)/;

/** `team=a,tier=web`, by name, without what the store notes for itself; a dash if there are none. */
export function formatLabels(labels: Readonly<Record<string, string>>): string {
  const shown = Object.entries(labels).filter(([name]) => !bookkeeping.test(name));
  const pairs = shown.map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? "-" : pairs.toSorted().join(",");
}

/** `1 image`, `2 images`. */
export function formatCount(count: number, singular: string, plural = `${singular}s`): string {
  return `${count} ${count === 1 ? singular : plural}`;
}

/** Enough of a digest to tell layers apart. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(":") + 1, digest.indexOf(":") + 13);
}

/** Lines of columns padded to their widest cell, two spaces apart. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  }
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
