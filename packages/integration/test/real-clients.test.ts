import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exec, missingPrograms, temporaryDirectory } from "@varve-tools/corpus";
import type { Ran } from "@varve-tools/corpus";
import { basicAuthentication, createUpstream, passwordList } from "@varve/registry-server";
import { createRegistryResolver } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";
import { environment } from "../src/images-under-test.ts";
import { startContainerd } from "../src/other-tools/containerd.ts";
import type { Containerd } from "../src/other-tools/containerd.ts";
import { serveStore } from "../src/other-tools/served-store.ts";
import type { ServedStore } from "../src/other-tools/served-store.ts";

const absent = await missingPrograms(["skopeo", "containerd", "ctr", "podman", "buildah"]);
const missing = environment.missing ?? (absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`);

function skopeo(...args: readonly string[]): Promise<Ran> {
  return exec("skopeo", args);
}

/** The manifest or index of an image, as it is. */
async function rawManifest(image: string): Promise<string> {
  const plain = image.startsWith("docker:") ? ["--tls-verify=false"] : [];
  return (await skopeo("inspect", "--raw", ...plain, image)).stdout;
}

async function digestOf(image: string): Promise<string> {
  const plain = image.startsWith("docker:") ? ["--tls-verify=false"] : [];
  return (await skopeo("inspect", "--format", "{{.Digest}}", ...plain, image)).stdout.trim();
}

/** An image of three small layers in a layout, in OCI's form. */
async function smallImage(directory: string): Promise<string> {
  const layout = join(directory, "small");
  await exec("umoci", ["init", "--layout", layout]);
  await exec("umoci", ["new", "--image", `${layout}:latest`]);
  for (const name of ["one", "two", "three"]) {
    const file = join(directory, name);
    await writeFile(file, name.repeat(50_000));
    await exec("umoci", ["insert", "--image", `${layout}:latest`, file, `/${name}`]);
  }
  return `oci:${layout}:latest`;
}

/** Pushes a small image by skopeo, and says what its digest is. */
async function push(to: ServedStore, name: string): Promise<string> {
  await using directory = await temporaryDirectory();
  const source = await smallImage(directory.path);
  await skopeo("copy", "-q", "--preserve-digests", "--dest-tls-verify=false", source, `docker://${to.host}/${name}`);
  return await digestOf(source);
}

/** The `GET` requests for blobs so far. */
function blobsSent(server: ServedStore): number {
  return server.records.filter(({ method, path }) => method === "GET" && path.includes("/blobs/sha256:")).length;
}

const why = missing === undefined ? "" : `: ${missing}`;
describe.skipIf(missing !== undefined)(`other people's clients (privileged${why})`, () => {
  test.each(["oci-gzip", "oci-zstd", "docker-gzip"])(
    "skopeo pushes and pulls %s without a change of a byte",
    async (form) => {
      await using directory = await temporaryDirectory();
      await using server = await serveStore(directory.path);
      const origin = `docker://${environment.registry}/app:${form}`;
      const ours = `docker://${server.host}/team/app:v1`;
      const both = ["--src-tls-verify=false", "--dest-tls-verify=false"];
      await skopeo("copy", "-q", "--all", "--preserve-digests", ...both, origin, ours);
      const back = `dir:${join(directory.path, "back")}`;
      await skopeo("copy", "-q", "--all", "--preserve-digests", "--src-tls-verify=false", ours, back);
      const wanted = await rawManifest(origin);
      expect(await rawManifest(ours)).toBe(wanted);
      expect(await rawManifest(back)).toBe(wanted);
      const pushed = server.records.length;
      await skopeo("copy", "-q", "--all", "--preserve-digests", ...both, origin, ours);
      expect(server.records.slice(pushed).filter(({ method }) => method === "PATCH")).toEqual([]);
    },
  );

  test("skopeo lists tags, deletes a manifest, and says who it is", async () => {
    await using directory = await temporaryDirectory();
    const authenticate = basicAuthentication({ verify: passwordList({ me: "planted-secret-3" }) });
    await using server = await serveStore(directory.path, { authenticate });
    const source = await smallImage(directory.path);
    const name = `docker://${server.host}/team/app`;
    await expect(skopeo("copy", "-q", "--dest-tls-verify=false", source, `${name}:v1`)).rejects.toThrow(/unauthorized/);
    const creds = ["--dest-tls-verify=false", "--dest-creds=me:planted-secret-3"];
    for (const tag of ["v1", "v2"]) await skopeo("copy", "-q", ...creds, source, `${name}:${tag}`);
    const known = ["--tls-verify=false", "--creds=me:planted-secret-3"];
    expect(JSON.parse((await skopeo("list-tags", ...known, name)).stdout)).toMatchObject({ Tags: ["v1", "v2"] });
    await skopeo("delete", ...known, `${name}:v1`);
    await expect(skopeo("inspect", ...known, `${name}:v2`)).rejects.toThrow(/manifest unknown/);
  });

  test("containerd pulls from us by plain HTTP", async () => {
    await using directory = await temporaryDirectory();
    await using server = await serveStore(directory.path);
    const digest = await push(server, "team/app:v1");
    await using containerd = await startContainerd(directory.path);
    const name = `${server.host}/team/app:v1`;
    await containerd.ctr("images", "pull", "--plain-http", "--snapshotter", "native", name);
    expect(await pulledDigest(containerd, name)).toBe(digest);
  });

  test("containerd pulls through us, as hosts.toml says, and gets the same when the origin is gone", async () => {
    await using directory = await temporaryDirectory();
    const [originPath, mirrorPath] = [join(directory.path, "origin"), join(directory.path, "mirror")];
    const name = "registry.example/team/app:v1";
    const resolver = createRegistryResolver({ plainHttp: true });
    const origin = await serveStore(originPath);
    await using mirror = await serveStore(mirrorPath, {
      upstream: (ns) => (ns === "registry.example" ? createUpstream(resolver, origin.host) : undefined),
    });
    const hosts = await hostsDirectory(directory.path, mirror.host);
    const digests: string[] = [];
    const wanted = await push(origin, "team/app:v1");
    for (const round of ["first", "second"]) {
      const path = join(directory.path, round);
      await mkdir(path);
      await using containerd = await startContainerd(path);
      await containerd.ctr("images", "pull", "--hosts-dir", hosts, "--snapshotter", "native", name);
      digests.push(await pulledDigest(containerd, name));
      await origin[Symbol.asyncDispose]();
    }
    await resolver.close();
    expect(digests).toEqual([wanted, wanted]);
    const asked = blobsSent(origin);
    expect(asked).toBeGreaterThan(2);
    // Every byte came from the mirror twice, and from the origin once.
    expect(blobsSent(mirror)).toBe(2 * asked);
  });

  test("skopeo copies through us from docker-registry", async () => {
    await using directory = await temporaryDirectory();
    const resolver = createRegistryResolver({ plainHttp: true });
    await using mirror = await serveStore(directory.path, { upstream: createUpstream(resolver, environment.registry) });
    const ours = `docker://${mirror.host}/debian:oci-zstd`;
    const copy = `dir:${join(directory.path, "copy")}`;
    await skopeo("copy", "-q", "--preserve-digests", "--src-tls-verify=false", ours, copy);
    await resolver.close();
    expect(await rawManifest(copy)).toBe(await rawManifest(`docker://${environment.registry}/debian:oci-zstd`));
  });

  test("podman pulls from us, and pushes to us what it then pulls again", async () => {
    await using directory = await temporaryDirectory();
    await using server = await serveStore(directory.path);
    const digest = await push(server, "team/app:v1");
    const podman = podmanIn(directory.path);
    const [name, other] = [`${server.host}/team/app:v1`, `${server.host}/other/app:v2`];
    await podman("pull", "-q", "--tls-verify=false", name);
    expect(await podman("image", "inspect", "--format", "{{.Digest}}", name)).toBe(digest);
    await podman("tag", name, other);
    const digestFile = join(directory.path, "digest");
    await podman("push", "-q", "--tls-verify=false", "--digestfile", digestFile, other);
    const pushed = await readFile(digestFile, "utf8");
    expect(await digestOf(`docker://${other}`)).toBe(pushed);
    await podman("rmi", "--all", "--force");
    await podman("pull", "-q", "--tls-verify=false", other);
    expect(await podman("image", "inspect", "--format", "{{.Digest}}", other)).toBe(pushed);
  });

  test("buildah pushes an image that it has built, and skopeo finds the digest that it says", async () => {
    await using directory = await temporaryDirectory();
    await using server = await serveStore(directory.path);
    const buildah = commandIn("buildah", directory.path);
    const container = await buildah("from", "scratch");
    const file = join(directory.path, "hello");
    await writeFile(file, "hello");
    await buildah("copy", "-q", container, file, "/hello");
    const name = `${server.host}/team/built:v1`;
    const digestFile = join(directory.path, "digest");
    await buildah("commit", "-q", container, name);
    await buildah("push", "-q", "--tls-verify=false", "--digestfile", digestFile, name);
    expect(await digestOf(`docker://${name}`)).toBe(await readFile(digestFile, "utf8"));
  });
});

/** The digest that containerd has for an image. */
async function pulledDigest(containerd: Containerd, name: string): Promise<string> {
  const listed = await containerd.ctr("images", "ls", `name==${name}`);
  return /sha256:[\da-f]{64}/.exec(listed)?.[0] ?? listed;
}

/** A `hosts.toml` that makes `mirror` the mirror of registry.example, which there is not. */
async function hostsDirectory(directory: string, mirror: string): Promise<string> {
  const hosts = join(directory, "certs.d");
  await mkdir(join(hosts, "registry.example"), { recursive: true });
  const lines = [
    'server = "http://127.0.0.1:9"',
    `[host."http://${mirror}"]`,
    '  capabilities = ["pull", "resolve"]',
    "",
  ];
  await writeFile(join(hosts, "registry.example", "hosts.toml"), lines.join("\n"));
  return hosts;
}

/** Runs a program of the containers family with everything it keeps in one directory. */
function commandIn(
  program: string,
  directory: string,
  options: readonly string[] = [],
): (...args: readonly string[]) => Promise<string> {
  const where = ["--root", join(directory, "storage"), "--runroot", join(directory, "run"), "--storage-driver=vfs"];
  const env = { TMPDIR: directory, XDG_RUNTIME_DIR: directory, HOME: directory };
  return async (...args) => (await exec(program, [...where, ...options, ...args], env)).stdout.trim();
}

function podmanIn(directory: string): (...args: readonly string[]) => Promise<string> {
  return commandIn("podman", directory, ["--cgroup-manager=cgroupfs", "--events-backend=none"]);
}
