/** The snapshotters that the command knows. */
export const snapshotterNames = ["overlay", "native"] as const;
