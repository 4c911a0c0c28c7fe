const maxKept = 256;
// Shorter ones are no secrets, and would tear words apart.
const minLength = 4;

// A header's value may be a plain word: "true" must not disappear from all texts.
const minHeaderLength = 8;

/** Headers of requests that anybody may see; what others say may be a key. */
export const openRequestHeaders: ReadonlySet<string> = new Set(
  "accept accept-encoding content-length content-range content-type if-match if-none-match range user-agent".split(" "),
);

/** Remembers what was sent in confidence, and takes it out of texts that are shown: servers may repeat it. */
export class Secrets {
  readonly #kept = new Set<string>();

  add(secret: string): void {
    if (secret.length < minLength) return;
    const encoded = encodeURIComponent(secret.toWellFormed());
    if (encoded !== secret) this.#keep(encoded);
    this.#keep(secret);
  }

  /** Takes in the headers of a request, their names in lower case. */
  addHeaders(headers: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(headers)) {
      if (name === "authorization" || name === "proxy-authorization") this.addAuthorization(value);
      else if (!openRequestHeaders.has(name) && value.length >= minHeaderLength) this.add(value);
    }
  }

  /** Takes in what an `Authorization` or `Proxy-Authorization` gives away. */
  addAuthorization(header: string): void {
    const space = header.indexOf(" ");
    const value = header.slice(space + 1);
    this.add(value);
    if (header.slice(0, space).toLowerCase() !== "basic") return;
    const login = Buffer.from(value, "base64").toString("utf8");
    this.add(login.slice(login.indexOf(":") + 1));
  }

  hide(text: string): string {
    let clean = text;
    // Longer ones first: one secret may be a part of another.
    for (const secret of [...this.#kept].toSorted((a, b) => b.length - a.length)) clean = clean.replaceAll(secret, "…");
    return clean;
  }

  #keep(secret: string): void {
    // The latest are the likeliest to be repeated.
    this.#kept.delete(secret);
    this.#kept.add(secret);
    for (const oldest of this.#kept) {
      if (this.#kept.size <= maxKept) break;
      this.#kept.delete(oldest);
    }
  }
}
