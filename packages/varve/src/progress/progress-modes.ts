export const progressModes = ["auto", "tty", "plain", "json", "none"] as const;
export type ProgressMode = (typeof progressModes)[number];
