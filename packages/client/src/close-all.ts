/** Closes what stands in one list at once, and one list after the other. The first failure is thrown when all have been tried. */
export async function closeAll(...lists: readonly (readonly (() => Promise<void>)[])[]): Promise<void> {
  const failures: unknown[] = [];
  for (const list of lists) {
    const results = await Promise.allSettled(list.map((close) => close()));
    for (const result of results) if (result.status === "rejected") failures.push(result.reason);
  }
  if (failures.length > 0) throw failures[0];
}
