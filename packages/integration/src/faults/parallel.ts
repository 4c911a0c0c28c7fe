/** Does `work` with every item, two at a time: `place` tells the two from each other. */
export async function twoAtATime<T>(
  items: Iterable<T>,
  work: (item: T, place: string) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  await Promise.all(
    ["a", "b"].map(async (place) => {
      for (let next = iterator.next(); next.done !== true; next = iterator.next()) await work(next.value, place);
    }),
  );
}
