import { createHash, createPublicKey, createSign, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";

/** How a token is signed, and how its header names the key: docker-registry takes both. */
type Signature = "ES256 with x5c" | "RS256 with kid";

/** A token server as docker-registry wants one, for one user. */
export interface TokenServer extends AsyncDisposable {
  readonly url: string;
  /** PEM file of the certificate that docker-registry is to trust. */
  readonly certificate: string;
  /** Each token call: how it was asked, and for which scopes. */
  readonly calls: string[];
  /** Whole seconds until the registry takes tokens no more; what the answer says of it stays five minutes. */
  lifetime: number;
  /** The tokens given so far. */
  readonly given: string[];
}

export interface TokenServerOptions {
  readonly directory: string;
  readonly signature: Signature;
  readonly user: string;
  readonly password: string;
  /** Repositories that may be pulled by anybody. */
  readonly open: string;
}

export const issuer = "varve test";
export const service = "varve test registry";
// So long docker-registry takes a token after its end.
const leeway = 60;

interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** Starts a server that gives real tokens: anonymous ones for what is open, others to the user, identity tokens on demand. */
export async function startTokenServer(options: TokenServerOptions): Promise<TokenServer> {
  const { directory, signature, user, password, open } = options;
  const sign = await makeSigner(directory, signature);
  const state = { calls: [] as string[], given: [] as string[], lifetime: 300 };
  const identities = new Set<string>();

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? "", "http://localhost");
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk as Uint8Array);
    const form = new URLSearchParams(Buffer.concat(chunks).toString());
    const isPost = request.method === "POST";
    const scopes = isPost ? (form.get("scope") ?? "").split(" ") : url.searchParams.getAll("scope");
    state.calls.push(`${request.method} ${scopes.filter((scope) => scope !== "").join(" ")}`.trim());
    const [scheme, value = ""] = (request.headers.authorization ?? "").split(" ");
    const isUser =
      form.get("grant_type") === "refresh_token"
        ? identities.has(form.get("refresh_token") ?? "")
        : Buffer.from(value, "base64").toString() === `${user}:${password}`;
    if ((scheme === "Basic" || isPost) && !isUser) return void response.writeHead(401).end();
    const token = sign(
      { subject: isUser ? user : "", access: scopes.flatMap((scope) => grant(scope, isUser, open)) },
      state.lifetime,
    );
    state.given.push(token);
    const wantsIdentity = url.searchParams.get("offline_token") === "true";
    const identity = wantsIdentity && isUser ? randomUUID() : undefined;
    if (identity !== undefined) identities.add(identity);
    const body = { ...(isPost ? { access_token: token } : { token }), expires_in: 300, refresh_token: identity };
    return void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  };

  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return Object.assign(state, {
    url: `http://127.0.0.1:${port}/token`,
    certificate: join(directory, "token.crt"),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

function grant(scope: string, isUser: boolean, open: string): Access[] {
  const [type = "", name = "", actions = ""] = scope.split(":");
  const allowed = actions.split(",").filter((action) => isUser || (name === open && action === "pull"));
  return allowed.length === 0 ? [] : [{ type, name, actions: allowed }];
}

type Sign = (claims: { readonly subject: string; readonly access: readonly Access[] }, lifetime: number) => string;

async function makeSigner(directory: string, signature: Signature): Promise<Sign> {
  const [keyFile, certificateFile] = [join(directory, "token.key"), join(directory, "token.crt")];
  const key = signature.startsWith("ES256") ? ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] : ["rsa:2048"];
  const subject = ["-subj", "/CN=varve test", "-days", "2"];
  await exec("openssl", [
    "req",
    "-x509",
    "-newkey",
    ...key,
    "-noenc",
    "-keyout",
    keyFile,
    "-out",
    certificateFile,
    ...subject,
  ]);
  const [privateKey, certificate] = [await readFile(keyFile, "utf8"), await readFile(certificateFile, "utf8")];
  const der = certificate.replaceAll(/-----[^-]+-----|\s/g, "");
  const header = signature.startsWith("ES256")
    ? { typ: "JWT", alg: "ES256", x5c: [der] }
    : { typ: "JWT", alg: "RS256", kid: keyIdOf(certificate) };
  return ({ subject: sub, access }, lifetime) => {
    const now = Math.floor(Date.now() / 1000);
    const times = { iat: now - 600, nbf: now - 600, exp: now - leeway + lifetime };
    const claims = { iss: issuer, aud: service, sub, jti: randomUUID(), access, ...times };
    const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    const signed = createSign("SHA256").update(text).sign({ key: privateKey, dsaEncoding: "ieee-p1363" });
    return `${text}.${signed.toString("base64url")}`;
  };
}

/** The name that docker-registry gives a key: its hash in base32, in groups of four. */
function keyIdOf(certificate: string): string {
  const der = createPublicKey(certificate).export({ type: "spki", format: "der" });
  const hash = createHash("sha256").update(der).digest().subarray(0, 30);
  const bits = [...hash].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const letters = bits.match(/.{5}/g)?.map((five) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[Number.parseInt(five, 2)]);
  return (letters ?? []).join("").match(/.{4}/g)?.join(":") ?? "";
}
