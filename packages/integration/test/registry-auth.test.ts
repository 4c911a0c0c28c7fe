import { spawn } from "node:child_process";
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { exec, temporaryDirectory } from "@varve-tools/corpus";
import { openCredentials } from "@varve/credentials";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { createRegistryResolver, verifyLogin } from "@varve/remotes-registry";
import type { CredentialsCallback, RegistryResolverOptions } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";
import { startHtpasswdRegistry, startTokenRegistry } from "../src/guarded-registry.ts";
import { startHttpFront } from "../src/http-front.ts";
import { environment } from "../src/images-under-test.ts";
import { startTokenServer } from "../src/token-server.ts";
import type { TokenServer } from "../src/token-server.ts";

const { missing } = environment;
const note = missing === undefined ? "" : `: ${missing}`;
const [name, password] = ["ann", "planted-secret-1:with/colon"];
const plain = { plainHttp: true };
const ann: CredentialsCallback = async () => ({ username: name, password, source: "the test" });

type Resolver = ReturnType<typeof createRegistryResolver>;

interface Image {
  readonly manifest: Descriptor;
  readonly parts: readonly Descriptor[];
  readonly bytes: ReadonlyMap<string, Buffer>;
}

describe.skipIf(missing !== undefined)(`docker-registry with htpasswd (privileged${note})`, () => {
  // A11, A13, C-RES.1, C-RES.2
  test("takes a push and gives a pull to who is logged in, and nobody else learns anything", async () => {
    await using directory = await temporaryDirectory();
    await using registry = await startHtpasswdRegistry(directory.path, { name, password });
    const reference = `${registry.host}/team/app:v1`;
    const image = await withResolver({ credentials: ann }, async (resolver) => {
      const pushed = await push(resolver, reference);
      await expectWhole(resolver, reference, pushed);
      return pushed;
    });
    expect(await skopeoDigest(reference, ["--creds", `${name}:${password}`])).toBe(image.manifest.digest);
    await withResolver({}, async (resolver) => {
      await expect(resolver.resolve(reference)).rejects.toMatchObject({
        code: "ERR_UNAUTHENTICATED",
        message: `registry ${registry.host}: not logged in: it wants a user and a password`,
      });
    });
    const wrong: CredentialsCallback = async () => ({
      username: name,
      password: "planted-secret-2",
      source: "the test",
    });
    await withResolver({ credentials: wrong }, async (resolver) => {
      await expect(resolver.resolve(reference)).rejects.toMatchObject({
        code: "ERR_UNAUTHENTICATED",
        message: expect.stringContaining("(asked with the credentials from the test)"),
      });
    });
    await withResolver({ credentials: ann }, async (resolver) => {
      await expect(resolver.resolve(`${registry.host}/team/none:v1`)).rejects.toMatchObject({
        code: "ERR_NOT_FOUND",
        message: expect.stringContaining("(not found or no access, asked with the credentials from the test)"),
      });
    });
  });

  test("has its logins verified, kept, read by skopeo and podman, and read from what they keep", async () => {
    await using directory = await temporaryDirectory();
    await using registry = await startHtpasswdRegistry(directory.path, { name, password });
    const { host } = registry;
    const reference = `${host}/team/app:v1`;
    const user = { username: name, password };
    expect(await verifyLogin(host, user, plain)).toEqual({ scheme: "basic" });
    await expect(verifyLogin(host, { username: name, password: "planted-secret-2" }, plain)).rejects.toMatchObject({
      code: "ERR_UNAUTHENTICATED",
    });
    const { manifest } = await withResolver({ credentials: ann }, (resolver) => push(resolver, reference));

    const ours = join(directory.path, "ours.json");
    await openCredentials({ file: ours }).put(host, user);
    expect(await skopeoDigest(reference, ["--authfile", ours])).toBe(manifest.digest);
    await openCredentials({ file: ours }).put(`${host}/team`, user);
    await openCredentials({ file: ours }).delete(host);
    expect(await skopeoDigest(reference, ["--authfile", ours])).toBe(manifest.digest);

    for (const program of ["skopeo", "podman"]) {
      const theirs = join(directory.path, `${program}.json`);
      await loginWith(program, theirs, host);
      const store = openCredentials({ file: theirs });
      expect(await store.get(host, "team/app")).toEqual({ ...user, source: theirs });
      const credentials: CredentialsCallback = (asked, repository) => store.get(asked, repository);
      await withResolver({ credentials }, async (resolver) => {
        expect((await resolver.resolve(reference)).descriptor.digest).toBe(manifest.digest);
      });
      expect(await store.delete(host)).toEqual([theirs]);
      await expect(exec(program, ["logout", "--authfile", theirs, host])).rejects.toThrow(/not logged in/i);
    }
  });
});

describe.skipIf(missing !== undefined).each(["ES256 with x5c", "RS256 with kid"] as const)(
  `docker-registry with a token server, %s (privileged${note})`,
  (signature) => {
    const options = { signature, user: name, password, open: "team/app" };

    // A2, A5, A9, A13, C-RES.1
    test("takes a push from the user, and gives everybody what is open", async () => {
      await using directory = await temporaryDirectory();
      await using tokens = await startTokenServer({ ...options, directory: directory.path });
      await using registry = await startTokenRegistry(directory.path, tokens);
      const reference = `${registry.host}/team/app:v1`;
      const hidden = `${registry.host}/team/hidden:v1`;
      const image = await withResolver({ credentials: ann }, async (resolver) => {
        await push(resolver, hidden);
        return push(resolver, reference);
      });
      expect(tokens.calls.filter((call) => !call.startsWith("GET repository:team/"))).toEqual([]);
      tokens.calls.length = 0;
      await withResolver({}, async (resolver) => {
        await expectWhole(resolver, reference, image);
        expect(tokens.calls).toEqual(["GET repository:team/app:pull"]);
        const failure: unknown = await resolver.resolve(hidden).catch((error: unknown) => error);
        expect(failure).toMatchObject({
          code: "ERR_UNAUTHENTICATED",
          message: expect.stringContaining("asked without credentials"),
        });
      });
      expect(await skopeoDigest(reference, [])).toBe(image.manifest.digest);
    });

    // A8, N05: the registry sees a token of the same server whose time is over, in place of the one that was in time until then
    test("refuses tokens in the middle of a pull, and all downloads go on with one new token", async () => {
      await using directory = await temporaryDirectory();
      await using tokens = await startTokenServer({ ...options, directory: directory.path });
      await using registry = await startTokenRegistry(directory.path, tokens);
      const ended = new Map<string, string>();
      let refused = 0;
      await using front = await startHttpFront(registry.host, {
        onHeaders(headers) {
          const authorization = ended.get(headers.authorization ?? "");
          if (authorization === undefined) return;
          headers.authorization = authorization;
          refused += 1;
        },
      });
      const reference = `${front.host}/team/app:v1`;
      const image = await withResolver({ credentials: ann }, (resolver) => push(resolver, reference));
      await withResolver({ credentials: ann }, async (resolver) => {
        tokens.calls.length = 0;
        await resolver.resolve(reference);
        expect(tokens.calls).toHaveLength(1);
        ended.set(`Bearer ${tokens.given.at(-1)}`, `Bearer ${await endedToken(tokens)}`);
        tokens.calls.length = 0;
        await expectWhole(resolver, reference, image);
        expect(tokens.calls).toHaveLength(1);
        expect(refused).toBeGreaterThan(0);
      });
    });

    // A6, C-RES.1
    test("gives an identity token at the login, which serves from then on", async () => {
      await using directory = await temporaryDirectory();
      await using tokens = await startTokenServer({ ...options, directory: directory.path });
      await using registry = await startTokenRegistry(directory.path, tokens);
      const { host } = registry;
      const login = await verifyLogin(host, { username: name, password }, plain);
      expect(login).toEqual({ scheme: "bearer", identityToken: expect.any(String) });
      const file = join(directory.path, "auth.json");
      const store = openCredentials({ file });
      await store.put(host, { identityToken: login.identityToken ?? "" });
      const credentials: CredentialsCallback = (asked, repository) => store.get(asked, repository);
      const image = await withResolver({ credentials }, async (resolver) => {
        const pushed = await push(resolver, `${host}/team/hidden:v1`);
        await expectWhole(resolver, `${host}/team/hidden:v1`, pushed);
        return pushed;
      });
      expect(await skopeoDigest(`${host}/team/hidden:v1`, ["--authfile", file])).toBe(image.manifest.digest);
      await expect(verifyLogin(host, { identityToken: "planted-secret-2" }, plain)).rejects.toMatchObject({
        code: "ERR_UNAUTHENTICATED",
      });
      await expect(verifyLogin(host, { username: name, password: "planted-secret-2" }, plain)).rejects.toMatchObject({
        code: "ERR_UNAUTHENTICATED",
      });
    });
  },
);

async function withResolver<T>(options: RegistryResolverOptions, body: (resolver: Resolver) => Promise<T>): Promise<T> {
  const resolver = createRegistryResolver({ ...plain, ...options });
  try {
    return await body(resolver);
  } finally {
    await resolver.close();
  }
}

async function push(resolver: Resolver, reference: string): Promise<Image> {
  const bytes = new Map<string, Buffer>();
  const add = (mediaType: string, content: Buffer): Descriptor => {
    const digest = digestOf(content);
    bytes.set(digest, content);
    return { mediaType, digest, size: content.byteLength };
  };
  const config = add(
    mediaTypes.ociConfig,
    Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'),
  );
  const layers = [1, 2, 3, 4, 5].map(() => add(mediaTypes.ociLayerGzip, randomBytes(300_000)));
  const document = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
  const manifest = add(mediaTypes.ociManifest, Buffer.from(JSON.stringify(document)));
  const pusher = resolver.pusher(reference);
  const body = ({ digest }: Descriptor) =>
    async function* (offset: number): AsyncGenerator<Uint8Array, void, undefined> {
      yield bytes.get(digest)?.subarray(offset) ?? Buffer.alloc(0);
    };
  const parts = [config, ...layers];
  await Promise.all(parts.map((part) => pusher.push(part, { body: body(part) })));
  await pusher.push(manifest, { body: body(manifest), tags: ["v1"] });
  return { manifest, parts, bytes };
}

async function expectWhole(resolver: Resolver, reference: string, image: Image): Promise<void> {
  const { descriptor } = await resolver.resolve(reference);
  expect(descriptor.digest).toBe(image.manifest.digest);
  const fetcher = resolver.fetcher(reference);
  await Promise.all(
    [image.manifest, ...image.parts].map(async (part) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of fetcher.fetch(part)) chunks.push(chunk);
      expect(Buffer.concat(chunks).equals(image.bytes.get(part.digest) ?? Buffer.alloc(0))).toBe(true);
    }),
  );
}

/** A token that the registry takes no more. */
async function endedToken(tokens: TokenServer): Promise<string> {
  const lifetime = tokens.lifetime;
  tokens.lifetime = -1;
  const authorization = `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
  const answer = await fetch(`${tokens.url}?scope=repository:team/app:pull`, { headers: { authorization } });
  expect(answer.status).toBe(200);
  tokens.lifetime = lifetime;
  return tokens.given.at(-1) ?? "";
}

async function skopeoDigest(reference: string, options: readonly string[]): Promise<string> {
  const args = ["inspect", "--tls-verify=false", "--format", "{{.Digest}}", ...options, `docker://${reference}`];
  return (await exec("skopeo", args)).stdout.trim();
}

async function loginWith(program: string, file: string, host: string): Promise<void> {
  const args = ["login", "--tls-verify=false", "--authfile", file, "-u", name, "--password-stdin", host];
  const child = spawn(program, args, { stdio: ["pipe", "ignore", "inherit"] });
  child.stdin.end(password);
  const [status] = await once(child, "exit");
  expect(status).toBe(0);
}
