import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface KeyPair {
  readonly key: string;
  readonly cert: string;
}

/** An authority that signs for this test alone. */
export interface Authority {
  /** PEM, to be trusted. */
  readonly certificate: string;
  /** @param names as in `subjectAltName`: `DNS:localhost` */
  issue(names: string): KeyPair;
}

/** Makes an authority with openssl; `undefined` where there is none. */
export function makeAuthority(name: string): Authority | undefined {
  try {
    const own = withDirectory((at) => {
      openssl("req", "-x509", ...newKey, "-subj", `/CN=${name}`, "-keyout", at("key"), "-out", at("cert"));
      return { key: readFileSync(at("key"), "utf8"), cert: readFileSync(at("cert"), "utf8") };
    });
    return { certificate: own.cert, issue: (names) => issue(own, names) };
  } catch {
    return undefined;
  }
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];

function issue(authority: KeyPair, names: string): KeyPair {
  return withDirectory((at) => {
    writeFileSync(at("ca-key"), authority.key);
    writeFileSync(at("ca"), authority.cert);
    const san = ["-addext", `subjectAltName=${names}`, "-addext", "basicConstraints=critical,CA:FALSE"];
    const signer = ["-x509", "-CA", at("ca"), "-CAkey", at("ca-key")];
    openssl("req", ...signer, ...newKey, "-subj", "/CN=test", ...san, "-keyout", at("key"), "-out", at("cert"));
    return { key: readFileSync(at("key"), "utf8"), cert: readFileSync(at("cert"), "utf8") };
  });
}

function withDirectory<T>(run: (at: (file: string) => string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), "varve-tls-"));
  try {
    return run((file) => join(directory, file));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { stdio: "ignore" });
}
