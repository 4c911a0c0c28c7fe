import { putBytes, putImage, putIndex, putJson, startRegistry } from "@varve-tools/test-registry";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { expect, test } from "vitest";
import { parsed, varve } from "./command.ts";

const layers = [{ "etc/base": "base" }];
const amd64 = { os: "linux", architecture: "amd64" };
const arm64 = { os: "linux", architecture: "arm64", variant: "v8" };

test("digest prints what a name stands for and nothing else, for a platform that of its manifest", async () => {
  await using registry = await startRegistry();
  const index = await putIndex(registry.content, [
    { platform: amd64, layers },
    { platform: arm64, layers },
  ]);
  const name = await registry.tag("team/app", index);
  expect(await varve(["digest", name])).toEqual({ code: 0, stdout: `${index.digest}\n`, stderr: "" });
  const image = await putImage(registry.content, layers, arm64);
  const ofArm = await varve(["digest", "--platform", "linux/arm64", "--full-ref", name]);
  expect(ofArm.stdout).toBe(`${registry.host}/team/app@${image.digest}\n`);
  expect(parsed(await varve(["digest", "--json", name]))).toEqual({ name, ...index });
});

test("manifest and config print the very bytes", async () => {
  await using registry = await startRegistry();
  const index = await putIndex(registry.content, [{ platform: amd64, layers }]);
  const name = await registry.tag("app", index);
  const manifest = await varve(["manifest", name]);
  expect(digestOf(manifest.stdout)).toBe(index.digest);
  const image = await varve(["manifest", name, "--platform", "linux/amd64"]);
  const { config } = JSON.parse(image.stdout) as { config: { digest: string } };
  expect(digestOf((await varve(["config", name, "--platform", "linux/amd64"])).stdout)).toBe(config.digest);
});

test("a platform that an index does not have is not found, and the message says what there is", async () => {
  await using registry = await startRegistry();
  const name = await registry.tag("app", await putIndex(registry.content, [{ platform: amd64, layers }]));
  const outcome = await varve(["config", name, "--platform", "linux/s390x"]);
  expect(outcome.code).toBe(3);
  expect(outcome.stderr).toContain("linux/amd64");
});

test("tags are printed one a line, or as one JSON object, those after --last", async () => {
  await using registry = await startRegistry();
  const image = await putImage(registry.content, layers);
  const repository = `${registry.host}/team/app`;
  for (const tag of ["a", "b", "c"]) await registry.tags.put("team/app", tag, image);
  expect((await varve(["tags", repository])).stdout).toBe("a\nb\nc\n");
  expect(parsed(await varve(["tags", repository, "--last", "a", "--json"]))).toEqual({ tags: ["b", "c"] });
  expect(await varve(["tags", `${repository}:a`])).toMatchObject({ code: 2 });
  expect(await varve(["tags", `${registry.host}/team/none`])).toMatchObject({ code: 3 });
});

test("referrers are listed with their types, and can be chosen by them", async () => {
  await using registry = await startRegistry();
  const name = await registry.tag("app", await putImage(registry.content, layers));
  const [, subject = ""] = /^(sha256:\w+)\n$/.exec((await varve(["digest", name])).stdout) ?? [];
  const config = await putBytes(registry.content, mediaTypes.ociEmpty, Buffer.from("{}"));
  const about = await putJson(registry.content, mediaTypes.ociManifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: "application/vnd.example.sbom",
    config,
    layers: [],
    subject: { mediaType: mediaTypes.ociManifest, digest: subject, size: 1 },
  });
  // The index under the fallback tag: what clients keep for registries without a list.
  const list = { ...about, artifactType: "application/vnd.example.sbom" };
  const fallback = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [list] };
  await registry.tags.put(
    "app",
    subject.replace(":", "-"),
    await putJson(registry.content, mediaTypes.ociIndex, fallback),
  );
  expect((await varve(["referrers", "-q", name])).stdout).toBe(`${about.digest}\n`);
  expect((await varve(["referrers", name])).stdout).toContain("application/vnd.example.sbom");
  expect((await varve(["referrers", "-q", "--artifact-type", "application/x", name])).stdout).toBe("");
});

test("delete takes a tag away at the registry, and will not guess which", async () => {
  await using registry = await startRegistry();
  const name = await registry.tag("app", await putImage(registry.content, layers));
  expect(await varve(["delete", name.replace(/:latest$/, "")])).toMatchObject({ code: 2 });
  expect(await varve(["delete", name])).toMatchObject({ code: 0, stdout: `${name}\n` });
  expect(await varve(["digest", name])).toMatchObject({ code: 3 });
});

test("an HTTP trace shows every exchange on standard error, without the credentials", async () => {
  await using registry = await startRegistry();
  const name = await registry.tag("app", await putImage(registry.content, layers));
  const { stderr, stdout } = await varve(["digest", name, "--http-trace", "--creds", "me:planted-secret"]);
  expect(stdout).toMatch(/^sha256:/);
  expect(stderr).toContain(`> HEAD http://${registry.host}/v2/app/manifests/latest`);
  expect(stderr).toMatch(/^< 200 /m);
  expect(stderr).not.toContain("planted-secret");
  expect(stderr).not.toContain(Buffer.from("me:planted-secret").toString("base64"));
});
