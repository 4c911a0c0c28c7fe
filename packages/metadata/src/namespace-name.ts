import { CodedError } from "@varve/errors";

const maxLength = 76;
const pattern = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/;

/** @throws ERR_INVALID_ARGUMENT not a name (U-MD.1) */
export function checkNamespace(name: string): void {
  if (name === "") throw new CodedError("ERR_INVALID_ARGUMENT", "namespace: the name is empty");
  if (name.length > maxLength) {
    throw new CodedError(
      "ERR_INVALID_ARGUMENT",
      `namespace ${name.slice(0, maxLength)}…: ${name.length} characters, the limit is ${maxLength}`,
    );
  }
  if (!pattern.test(name)) {
    throw new CodedError(
      "ERR_INVALID_ARGUMENT",
      `namespace ${JSON.stringify(name)}: not letters and digits with single dots, dashes or underscores between them`,
    );
  }
}
