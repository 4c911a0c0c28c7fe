/** Takes what went wrong without being an error of the operation, such as a clean-up that failed. `console` is one. */
export interface Logger {
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}
