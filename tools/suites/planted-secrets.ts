const marker = "planted-secret";
/** The marker in every form in which tests give it to us: as it is, and in base64 at each of the three alignments. */
const forms: readonly string[] = [marker, ...[0, 1, 2].map(encodedAt)];
const longest = Math.max(...forms.map((form) => form.length));

/**
 * Looks for secrets in what a run prints. Passwords and tokens of our tests hold `planted-secret`; none of our logs, errors and
 * traces may (A14). A test that fails shows the text of the test itself, with its secrets: that is none of ours.
 */
export class SecretWatch {
  #rest = "";
  #found = 0;

  /** How many were printed. */
  get found(): number {
    return this.#found;
  }

  read(chunk: string): void {
    const text = this.#rest + chunk;
    for (const form of forms) this.#found += text.split(form).length - 1;
    // As much as could be the beginning of one, and no whole one, which would be counted again.
    this.#rest = text.slice(-(longest - 1));
    for (const form of forms)
      if (this.#rest.includes(form)) this.#rest = this.#rest.slice(this.#rest.lastIndexOf(form) + 1);
  }
}

/** The characters of the encoding that do not depend on what stands around it. */
function encodedAt(offset: number): string {
  const encoded = Buffer.from("\0".repeat(offset) + marker).toString("base64");
  const bits = offset * 8;
  return encoded.slice(Math.ceil(bits / 6), Math.floor((bits + marker.length * 8) / 6));
}
