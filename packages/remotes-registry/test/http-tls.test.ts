import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import type { RegistryEndpoint, RegistryResolverOptions } from "@varve/remotes-registry";
import { fakeRegistry, portOf, send, sendBlob } from "./fake-registry.ts";
import type { FakeRegistry, Script, Seen } from "./fake-registry.ts";
import { blob, blobPath, errorOf, fetchLayer, manifest, sendManifest, target, testResolver } from "./fixtures.ts";
import { makeAuthority } from "./http-certificates.ts";
import { rawServer, until } from "./http-raw-server.ts";

const authority = makeAuthority("first authority");
const other = makeAuthority("second authority");
const certificate = authority?.issue("DNS:localhost,IP:127.0.0.1");
const elsewhere = other?.issue("DNS:localhost,IP:127.0.0.1");
const client = authority?.issue("DNS:client");
const isMissing = authority === undefined || other === undefined;
const [firstCa, secondCa] = [authority?.certificate ?? "", other?.certificate ?? ""];
const clientCertificates = [{ certificate: client?.cert ?? "", key: client?.key ?? "" }];

function secure(script: Script, pair: typeof certificate, name = "localhost"): Promise<FakeRegistry> {
  return fakeRegistry(script, { tls: pair, name });
}

/** Wants to know who asks, and says so in a header. */
function mutual(script: Script, name = "localhost"): Promise<FakeRegistry> {
  const tls = { ...certificate, key: certificate?.key ?? "", cert: certificate?.cert ?? "", ca: firstCa };
  return fakeRegistry(script, { tls: { ...tls, requestCert: true, rejectUnauthorized: false }, name });
}

function asker(seen: Seen): string {
  if (!(seen.socket instanceof TLSSocket)) return "nobody";
  return seen.socket.authorized ? (seen.socket.getPeerCertificate().subjectaltname ?? "somebody") : "nobody";
}

function openResolver(options: RegistryResolverOptions): ReturnType<typeof testResolver> {
  return testResolver({ plainHttp: false, retries: 0, ...options });
}

function endpoint(registry: FakeRegistry, settings: Partial<RegistryEndpoint>): RegistryResolverOptions {
  return { endpoints: async () => [{ url: registry.url, ...settings }] };
}

const resolved = expect.objectContaining({ descriptor: target });
const untrusted = { code: "ERR_NETWORK", message: expect.stringContaining("unable to verify") };

// D8, C-RES.14, N11
describe.skipIf(isMissing)("an authority (needs openssl)", () => {
  test("that is not known is not trusted", async () => {
    await using registry = await secure(sendManifest, certificate);
    await using resolver = openResolver({ certificateAuthorities: [secondCa] });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject(untrusted);
  });

  test("of one endpoint is trusted there, by its token server, and where it redirects to, but nowhere else", async () => {
    await using storage = await secure((seen, response) => sendBlob(seen, response, blob), certificate, "127.0.0.1");
    await using registry = await secure((seen, response) => {
      if (seen.path === blobPath) send(response, 307, { location: storage.url });
      else sendManifest(seen, response);
    }, certificate);
    await using stranger = await secure(sendManifest, certificate);
    await using resolver = openResolver({
      endpoints: async (host) =>
        host === registry.host ? [{ url: registry.url, certificateAuthorities: [firstCa] }] : undefined,
    });
    expect(await resolver.resolve(`${registry.host}/lib/app:v1`)).toEqual(resolved);
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    await expect(resolver.resolve(`${stranger.host}/lib/app:v1`)).rejects.toMatchObject(untrusted);
  });

  test.each(["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])(
    "that is none (%j) is an error of the caller",
    async (text) => {
      await using registry = await secure(sendManifest, certificate);
      await using resolver = openResolver({ certificateAuthorities: [text] });
      await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
        message: expect.stringMatching(/^certificate authority: not a PEM certificate/),
      });
      expect(registry.sockets.size).toBe(0);
    },
  );

  test("does not make a certificate good that is for another name", async () => {
    await using registry = await secure(sendManifest, authority?.issue("DNS:registry.example"));
    await using resolver = openResolver({ certificateAuthorities: [firstCa] });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: expect.stringContaining("does not match certificate's altnames"),
    });
  });
});

// cli.md 2.5
describe.skipIf(isMissing)("SSL_CERT_FILE (needs openssl)", () => {
  const directory = mkdtempSync(join(tmpdir(), "varve-certs-"));
  const before = process.env["SSL_CERT_FILE"];
  afterEach(() => {
    if (before === undefined) delete process.env["SSL_CERT_FILE"];
    else process.env["SSL_CERT_FILE"] = before;
    rmSync(directory, { recursive: true, force: true });
  });

  test("names authorities that are trusted besides", async () => {
    const file = join(directory, "all.pem");
    writeFileSync(file, `# mine\n${secondCa}\n${firstCa}`);
    process.env["SSL_CERT_FILE"] = file;
    await using one = await secure(sendManifest, certificate);
    await using two = await secure(sendManifest, elsewhere);
    await using resolver = openResolver({});
    expect(await resolver.resolve(`${one.host}/lib/app:v1`)).toEqual(resolved);
    expect(await resolver.resolve(`${two.host}/lib/app:v1`)).toEqual(resolved);
  });

  test("that names nothing changes nothing", async () => {
    process.env["SSL_CERT_FILE"] = join(directory, "missing.pem");
    await using registry = await secure(sendManifest, certificate);
    await using resolver = openResolver({ certificateAuthorities: [firstCa] });
    expect(await resolver.resolve(`${registry.host}/lib/app:v1`)).toEqual(resolved);
  });
});

// D8
describe.skipIf(isMissing)("skipVerify (needs openssl)", () => {
  test("holds for the hosts that it names, by name and port", async () => {
    await using registry = await secure(sendManifest, certificate);
    await using stranger = await secure(sendManifest, certificate);
    await using resolver = openResolver({ skipVerify: (host) => host === registry.host });
    expect(await resolver.resolve(`${registry.host}/lib/app:v1`)).toEqual(resolved);
    await expect(resolver.resolve(`${stranger.host}/lib/app:v1`)).rejects.toMatchObject(untrusted);
  });

  test.each([
    ["of the resolver", (): RegistryResolverOptions => ({ skipVerify: true })],
    ["of the endpoint", (registry: FakeRegistry) => endpoint(registry, { skipVerify: true })],
  ])("%s never holds for a host that is redirected to", async (_whose, options) => {
    await using storage = await secure((seen, response) => sendBlob(seen, response, blob), certificate, "127.0.0.1");
    await using registry = await secure((seen, response) => {
      if (seen.path === blobPath) send(response, 307, { location: storage.url });
      else sendManifest(seen, response);
    }, certificate);
    await using resolver = openResolver(options(registry));
    expect(await resolver.resolve(`${registry.host}/lib/app:v1`)).toEqual(resolved);
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject(untrusted);
    expect(storage.seen).toEqual([]);
  });

  test("of an endpoint may say no where the resolver says yes", async () => {
    await using registry = await secure(sendManifest, certificate);
    await using resolver = openResolver({ skipVerify: true, ...endpoint(registry, { skipVerify: false }) });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject(untrusted);
  });
});

// cli.md 2.5: mTLS
describe.skipIf(isMissing)("a client certificate (needs openssl)", () => {
  const trust = { certificateAuthorities: [firstCa] };

  test.each([
    ["of the resolver", () => ({ ...trust, clientCertificates })],
    ["of an endpoint", (registry: FakeRegistry) => ({ ...trust, ...endpoint(registry, { clientCertificates }) })],
  ])("%s is shown to the registry, and not where it redirects to", async (_whose, options) => {
    const askers: string[] = [];
    const note =
      (script: Script): Script =>
      (seen, response) => {
        askers.push(asker(seen));
        return script(seen, response);
      };
    await using storage = await mutual(
      note((seen, response) => sendBlob(seen, response, blob)),
      "127.0.0.1",
    );
    await using registry = await mutual(note((_seen, response) => send(response, 307, { location: storage.url })));
    await using resolver = openResolver(options(registry));
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(askers).toEqual(["DNS:client", "nobody"]);
  });

  test("whose key is another's is an error of the caller, without the key", async () => {
    const wrong = [{ certificate: client?.cert ?? "", key: certificate?.key ?? "" }];
    await using registry = await mutual(sendManifest);
    await using resolver = openResolver({ ...trust, clientCertificates: wrong });
    const failure = await errorOf(resolver.resolve(`${registry.host}/lib/app:v1`));
    expect(failure).toMatchObject({ code: "ERR_INVALID_ARGUMENT", message: "client certificate: cannot be used" });
    expect(registry.sockets.size).toBe(0);
  });
});

interface Http2Registry extends AsyncDisposable {
  readonly host: string;
  readonly sockets: Set<Socket>;
  readonly versions: string[];
}

/** Offers HTTP/2 and HTTP/1.1; the blob comes slowly enough for requests to overlap. */
async function http2Registry(): Promise<Http2Registry> {
  const sockets = new Set<Socket>();
  const versions: string[] = [];
  const listener = (request: Http2ServerRequest, response: Http2ServerResponse): void => {
    versions.push(request.httpVersion);
    if (request.url === blobPath) {
      setTimeout(() => response.writeHead(200, { "content-length": String(blob.byteLength) }).end(blob), 20);
      return;
    }
    const length = { "content-length": String(manifest.byteLength), "docker-content-digest": target.digest };
    response.writeHead(200, { "content-type": target.mediaType, ...length }).end();
  };
  const server = createSecureServer({ ...certificate, allowHTTP1: true }, listener);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  });
  server.on("session", (session) => session.on("error", () => undefined));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `localhost:${portOf({ address: () => server.address() })}`,
    sockets,
    versions,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

describe.skipIf(isMissing)("HTTP/2 (needs openssl)", () => {
  test.each([
    [false, "1.1"],
    [true, "2.0"],
  ])("asked for: %j, so that HTTP/%s is spoken where both are offered", async (http2, version) => {
    await using registry = await http2Registry();
    await using resolver = openResolver({ http2, certificateAuthorities: [firstCa] });
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    const blobs = await Promise.all(Array.from({ length: 4 }, () => fetchLayer(resolver, registry.host)));
    expect(blobs).toEqual([blob, blob, blob, blob]);
    expect(new Set(registry.versions)).toEqual(new Set([version]));
    expect(registry.versions).toHaveLength(5);
    expect(registry.sockets.size === 1).toBe(http2);
  });

  test("leaves no connection after close", async () => {
    await using registry = await http2Registry();
    const resolver = openResolver({ http2: true, certificateAuthorities: [firstCa] });
    await fetchLayer(resolver, registry.host);
    await resolver.close();
    while (registry.sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(registry.versions).toEqual(["2.0"]);
  });

  // N15: the connection is opened for the first one, and the others wait for it
  test("goes on for the others when the one that connected gives up", async () => {
    await using registry = await http2Registry();
    const [, port] = registry.host.split(":");
    let isFirst = true;
    await using door = await rawServer(() => undefined);
    door.server.on("connection", (socket: Socket) => {
      if (isFirst) isFirst = false;
      else socket.pipe(connect(Number(port), "127.0.0.1")).pipe(socket);
    });
    await using resolver = openResolver({ http2: true, connectTimeout: 600_000, certificateAuthorities: [firstCa] });
    const stop = new AbortController();
    const reference = `localhost:${door.port}/lib/app:v1`;
    const first = errorOf(resolver.resolve(reference, { signal: stop.signal }));
    await until(() => door.seen.length === 1);
    const others = [resolver.resolve(reference), resolver.resolve(reference)];
    // They stand in line now: they would not open connections of their own.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(door.sockets.size).toBe(1);
    stop.abort("enough");
    expect(await first).toBe("enough");
    expect(await Promise.all(others)).toEqual([resolved, resolved]);
  });

  test("is not needed: a server that knows only HTTP/1.1 is spoken to so", async () => {
    await using registry = await secure(sendManifest, certificate);
    await using resolver = openResolver({ http2: true, certificateAuthorities: [firstCa] });
    expect(await resolver.resolve(`${registry.host}/lib/app:v1`)).toEqual(resolved);
  });
});
