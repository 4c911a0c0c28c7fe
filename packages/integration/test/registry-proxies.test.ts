import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { exec, startDockerRegistry, temporaryDirectory } from "@varve-tools/corpus";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { createRegistryResolver } from "@varve/remotes-registry";
import type { RegistryExchange, RegistryResolverOptions } from "@varve/remotes-registry";
import { environment } from "../src/images-under-test.ts";
import { startSquid, startTinyproxy } from "../src/real-proxies.ts";
import { issue, makeAuthority, startTlsRegistry } from "../src/tls-registry.ts";
import type { Certificate } from "../src/tls-registry.ts";

const { missing } = environment;
const note = missing === undefined ? "" : `: ${missing}`;
const login = { name: "ann", password: "planted-secret-proxy" };

function described(mediaType: string, bytes: Buffer): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
}

/** Pushes an image with a layer of some size, and reads it back. */
async function roundTrip(reference: string, options: RegistryResolverOptions): Promise<Descriptor> {
  const resolver = createRegistryResolver({ retries: 0, ...options });
  try {
    const [config, layer] = [Buffer.from("{}"), randomBytes(3_000_000)];
    const parts = [described(mediaTypes.ociConfig, config), described(mediaTypes.ociLayer, layer)] as const;
    const body = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: parts[0], layers: [parts[1]] };
    const manifest = Buffer.from(JSON.stringify(body));
    const pusher = resolver.pusher(reference);
    for (const [part, bytes] of [
      [parts[0], config],
      [parts[1], layer],
    ] as const) {
      await pusher.push(part, {
        body: async function* (offset) {
          yield bytes.subarray(offset);
        },
      });
    }
    const target = described(mediaTypes.ociManifest, manifest);
    await pusher.push(target, {
      body: async function* (offset) {
        yield manifest.subarray(offset);
      },
      tags: ["v1"],
    });
    expect((await resolver.resolve(reference)).descriptor).toEqual(target);
    const chunks: Uint8Array[] = [];
    for await (const chunk of resolver.fetcher(reference).fetch(parts[1])) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(layer)).toBe(true);
    return target;
  } finally {
    await resolver.close();
  }
}

async function asked(reference: string, options: RegistryResolverOptions): Promise<Descriptor> {
  const resolver = createRegistryResolver({ retries: 0, ...options });
  try {
    return (await resolver.resolve(reference)).descriptor;
  } finally {
    await resolver.close();
  }
}

async function certificates(directory: string): Promise<{ readonly ca: Certificate; readonly server: Certificate }> {
  const ca = await makeAuthority(directory, "ca");
  return { ca, server: await issue(ca, directory, "server", "DNS:registry.example,DNS:localhost,IP:127.0.0.1") };
}

// D7, cli.md 2.5
describe.skipIf(missing !== undefined)(`a registry behind squid (privileged${note})`, () => {
  const names = ["HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"] as const;
  const before = names.map((name) => [name, process.env[name]] as const);
  afterEach(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  test("is reached as the environment says, under a name that only squid knows", async () => {
    await using directory = await temporaryDirectory();
    const { ca, server } = await certificates(directory.path);
    await using registry = await startTlsRegistry(directory.path, server);
    await using squid = await startSquid(directory.path, login, ["registry.example"]);
    const reference = `registry.example:${registry.port}/team/app:v1`;
    process.env["HTTPS_PROXY"] = `http://${login.name}:${login.password}@${squid.host}`;
    process.env["SSL_CERT_FILE"] = ca.certificateFile;
    const exchanges: RegistryExchange[] = [];
    const target = await roundTrip(reference, { onExchange: (exchange) => exchanges.push(exchange) });
    expect(exchanges.length).toBeGreaterThan(5);
    expect(JSON.stringify(exchanges)).not.toContain(login.password);
    const skopeo = ["inspect", "--format", "{{.Digest}}", `docker://${reference}`];
    expect((await exec("skopeo", skopeo)).stdout.trim()).toBe(target.digest);
    await expect
      .poll(() => squid.log(), { timeout: 10_000 })
      .toContain(`CONNECT registry.example:${registry.port} ann`);

    process.env["NO_PROXY"] = "registry.example";
    await expect(asked(reference, {})).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: expect.stringMatching(/^registry registry\.example:\d+: host not found/),
    });
    delete process.env["NO_PROXY"];
    process.env["HTTPS_PROXY"] = `http://${login.name}:wrong-password@${squid.host}`;
    await expect(asked(reference, {})).rejects.toMatchObject({
      code: "ERR_UNAUTHENTICATED",
      message: `registry registry.example:${registry.port}: proxy ${squid.host}: it wants a user and a password`,
    });
    process.env["HTTPS_PROXY"] = `http://${login.name}:${login.password}@${squid.host}`;
    await expect(asked("registry.example:1/team/app:v1", {})).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: `registry registry.example:1: proxy ${squid.host}: it answers 503`,
    });
  });
});

// D7
describe.skipIf(missing !== undefined)(`a registry behind tinyproxy (privileged${note})`, () => {
  test("is reached by https and by http", async () => {
    await using directory = await temporaryDirectory();
    const { ca, server } = await certificates(directory.path);
    await using secure = await startTlsRegistry(directory.path, server);
    await using plain = await startDockerRegistry();
    await using tinyproxy = await startTinyproxy(directory.path, login);
    const url = `http://${login.name}:${login.password}@${tinyproxy.host}`;
    const proxy = { http: url, https: url };
    await roundTrip(`127.0.0.1:${secure.port}/team/app:v1`, { proxy, certificateAuthorities: [ca.certificate] });
    expect(await tinyproxy.log()).toContain(`CONNECT 127.0.0.1:${secure.port}`);
    await roundTrip(`${plain.host}/team/app:v1`, { proxy, plainHttp: true });
    expect(await tinyproxy.log()).toContain(`GET http://${plain.host}/v2/team/app/`);
    const stranger = `http://${login.name}:wrong-password@${tinyproxy.host}`;
    const refused = asked(`127.0.0.1:${secure.port}/team/app:v1`, { proxy: { https: stranger } });
    await expect(refused).rejects.toMatchObject({
      code: "ERR_UNAUTHENTICATED",
      message: `registry 127.0.0.1:${secure.port}: proxy ${tinyproxy.host}: it wants a user and a password`,
    });
  });
});

// D8, cli.md 2.5: mTLS; HTTP/2 against a server that is not Node's
describe.skipIf(missing !== undefined)(`docker-registry with TLS (privileged${note})`, () => {
  test.each([false, true])("lets in who has a certificate, HTTP/2 asked for: %j", async (http2) => {
    await using directory = await temporaryDirectory();
    const { ca, server } = await certificates(directory.path);
    const clients = await makeAuthority(directory.path, "clients");
    const client = await issue(clients, directory.path, "client", "DNS:client");
    const stranger = await issue(ca, directory.path, "stranger", "DNS:client");
    await using registry = await startTlsRegistry(directory.path, server, clients);
    const reference = `localhost:${registry.port}/team/app:v1`;
    const trust = { http2, certificateAuthorities: [ca.certificate] };
    await roundTrip(reference, { ...trust, clientCertificates: [client] });
    for (const clientCertificates of [[], [stranger]]) {
      await expect(asked(reference, { ...trust, clientCertificates })).rejects.toMatchObject({ code: "ERR_NETWORK" });
    }
  });

  test("need not be verified where the caller says so, and is verified everywhere else", async () => {
    await using directory = await temporaryDirectory();
    const { server } = await certificates(directory.path);
    await using one = await startTlsRegistry(directory.path, server);
    await using two = await startTlsRegistry(directory.path, server);
    const skipVerify = (host: string): boolean => host === `localhost:${one.port}`;
    await roundTrip(`localhost:${one.port}/team/app:v1`, { skipVerify });
    await expect(asked(`localhost:${two.port}/team/app:v1`, { skipVerify })).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: expect.stringContaining("unable to verify the first certificate"),
    });
  });
});
