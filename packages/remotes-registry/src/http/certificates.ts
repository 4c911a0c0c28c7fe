import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext, getCACertificates } from "node:tls";
import type { SecureContext } from "node:tls";
import { CodedError } from "@varve/errors";
import type { ClientCertificate } from "../hosts/endpoint.ts";

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Makes what TLS connections need: the authorities that Node trusts (its own, `NODE_EXTRA_CA_CERTS`, the system's if it was
 * told so), those of `SSL_CERT_FILE`, `authorities`, and certificates to show. Costs some milliseconds: to be kept.
 *
 * @throws ERR_INVALID_ARGUMENT one of the certificates is none, or its key is another's
 */
export function secureContext(
  authorities: readonly string[],
  own: readonly ClientCertificate[],
  environment: Readonly<Record<string, string | undefined>> = process.env,
): SecureContext {
  const extra = [...authorities.flatMap(certificatesIn), ...fromFile(environment["SSL_CERT_FILE"])];
  try {
    return createSecureContext({
      // Naming them costs time, since each is parsed then.
      ...(extra.length > 0 && { ca: [...getCACertificates("default"), ...extra] }),
      ...(own.length > 0 && { cert: own.map(({ certificate }) => certificate), key: own.map(({ key }) => key) }),
    });
  } catch (error) {
    // OpenSSL names the kind of failure; nothing of the key is in it.
    throw new CodedError("ERR_INVALID_ARGUMENT", "client certificate: cannot be used", { cause: error });
  }
}

function certificatesIn(pem: string): string[] {
  const found = pem.match(pemCertificate) ?? [];
  // OpenSSL passes over what is no certificate, and its user would wonder later why nothing is trusted.
  if (found.length === 0) throw new CodedError("ERR_INVALID_ARGUMENT", "certificate authority: not a PEM certificate");
  for (const certificate of found) mustBeCertificate(certificate);
  return found;
}

function mustBeCertificate(pem: string): void {
  try {
    void new X509Certificate(pem);
  } catch (error) {
    throw new CodedError("ERR_INVALID_ARGUMENT", "certificate authority: not a PEM certificate", { cause: error });
  }
}

/** What cannot be read is left out, as by Go: the variable is often left over, and TLS fails closed. */
function fromFile(file: string | undefined): string[] {
  if (file === undefined || file === "") return [];
  try {
    return readFileSync(file, "utf8").match(pemCertificate) ?? [];
  } catch {
    return [];
  }
}
