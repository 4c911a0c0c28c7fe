import type { GlobalOptions } from "../globals.ts";
import { mustHaveOneForm } from "../output.ts";

/** The option of commands that move images: the digest alone, and nothing on the way. */
export interface QuietOption {
  readonly quiet?: boolean;
}

/** The options with what `--quiet` means for them. */
export function quietly<T extends GlobalOptions & QuietOption>(options: T): T {
  mustHaveOneForm(options);
  return options.quiet === true ? { ...options, progress: "none" } : options;
}
