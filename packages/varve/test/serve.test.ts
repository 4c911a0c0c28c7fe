import { once } from "node:events";
import { putImage, startRegistry } from "@varve-tools/test-registry";
import type { PullResult } from "@varve/client";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { expect, test } from "vitest";
import { ended, parsed, start, varve } from "./command.ts";
import { tempDirectory } from "./temp.ts";

/** Starts `varve serve`, and gives where it listens. */
async function serve(
  root: string,
  ...args: readonly string[]
): Promise<
  AsyncDisposable & {
    readonly host: string;
    ask(method: string, path: string): Promise<Response>;
    kill(): Promise<void>;
  }
> {
  const child = start(["serve", "--listen", "127.0.0.1:0", "--progress", "none", "--root", root, ...args]);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const host = /^listening on (.*)\n$/.exec(line.toString())?.[1] ?? line.toString();
  return {
    host,
    ask: (method, path) => fetch(`http://${host}/v2/${path}`, { method }),
    kill: async () => {
      child.kill("SIGKILL");
      await ended(child);
    },
    [Symbol.asyncDispose]: async () => {
      if (child.signalCode === "SIGKILL") return;
      child.kill("SIGTERM");
      await ended(child);
      expect(child.exitCode).toBe(0);
    },
  };
}

async function pull(root: string, reference: string): Promise<PullResult> {
  return parsed(await varve(["pull", "--json", "--root", root, "--snapshotter", "native", reference])) as PullResult;
}

async function put(host: string, reference: string, body: string): Promise<number> {
  const headers = { "content-type": mediaTypes.ociManifest };
  return (await fetch(`http://${host}/v2/app/manifests/${reference}`, { method: "PUT", body, headers })).status;
}

async function imagesIn(root: string): Promise<unknown> {
  return parsed(await varve(["images", "ls", "--json", "--root", root]));
}

test("varve serve --upstream gives what another registry has, and keeps it as a pull would", async () => {
  await using origin = await startRegistry();
  await using kept = await tempDirectory();
  await using first = await tempDirectory();
  await using second = await tempDirectory();
  const name = await origin.tag("team/app", await putImage(origin.content, [{ base: "base" }, { top: "top" }]));
  const { host } = origin;
  {
    await using mirror = await serve(kept.path, "--upstream", host);
    const { target } = await pull(first.path, `${mirror.host}/team/app:latest`);
    expect(await imagesIn(kept.path)).toMatchObject({ images: [{ name, target }] });
    expect((await mirror.ask("POST", "team/app/blobs/uploads/")).status).toBe(405);
  }
  await origin[Symbol.asyncDispose]();
  // The store that was filled is served without the registry that it came from, which is gone.
  await using again = await serve(kept.path, "--upstream", host, "--retry-times", "0");
  await expect(pull(second.path, `${again.host}/team/app:latest`)).resolves.toMatchObject({ layers: [{}, {}] });
});

test("of several upstreams clients name the one they mean", async () => {
  await using one = await startRegistry();
  await using two = await startRegistry();
  await using root = await tempDirectory();
  await one.tag("app", await putImage(one.content, [{ one: "one" }]));
  const target = await putImage(two.content, [{ two: "two" }]);
  const name = await two.tag("app", target);
  await using mirror = await serve(root.path, "--upstream", one.host, "--upstream", two.host);
  const got = await mirror.ask("HEAD", `app/manifests/latest?ns=${two.host}`);
  expect(got.headers.get("docker-content-digest")).toBe(target.digest);
  for (const query of ["", "?ns=registry.example"]) {
    expect((await mirror.ask("HEAD", `app/manifests/latest${query}`)).status).toBe(404);
  }
  expect(await imagesIn(root.path)).toMatchObject({ images: [{ name }] });
});

test("what was pushed is there after a restart and a collection, with its referrers", async () => {
  await using root = await tempDirectory();
  const config = Buffer.from("{}");
  const blob = { mediaType: "application/vnd.oci.empty.v1+json", digest: digestOf(config), size: 2 };
  const image = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: blob, layers: [] };
  const body = JSON.stringify(image);
  const subject = { mediaType: mediaTypes.ociManifest, digest: digestOf(body), size: body.length };
  {
    await using server = await serve(root.path);
    const url = `http://${server.host}/v2/app/blobs/uploads/?digest=${blob.digest}`;
    expect((await fetch(url, { method: "POST", body: config })).status).toBe(201);
    expect(await put(server.host, "v1", body)).toBe(201);
    const signature = JSON.stringify({ ...image, artifactType: "application/vnd.example.signature", subject });
    expect(await put(server.host, digestOf(signature), signature)).toBe(201);
    const unnamed = JSON.stringify({ ...image, artifactType: "application/vnd.example.unnamed" });
    expect(await put(server.host, digestOf(unnamed), unnamed)).toBe(201);
  }
  expect(await varve(["gc", "--root", root.path])).toMatchObject({ code: 0 });
  await using server = await serve(root.path);
  const referrers = await server.ask("GET", `app/referrers/${subject.digest}`);
  expect(await referrers.json()).toMatchObject({ manifests: [{ artifactType: "application/vnd.example.signature" }] });
  expect((await server.ask("HEAD", `app/blobs/${blob.digest}`)).status).toBe(200);
  expect((await server.ask("HEAD", `other/blobs/${blob.digest}`)).status).toBe(404);
});

// U-GC.4: unfinished uploads are ingests like any other
test("an upload that a killed server left is collected when it is old", async () => {
  await using root = await tempDirectory();
  const ingests = async (): Promise<unknown> =>
    parsed(await varve(["content", "ingests", "--json", "--root", root.path]));
  const server = await serve(root.path);
  const location = (await server.ask("POST", "app/blobs/uploads/")).headers.get("location");
  await fetch(`http://${server.host}${location}`, { method: "PATCH", body: Buffer.alloc(100_000) });
  await server.kill();
  expect(await varve(["gc", "--root", root.path])).toMatchObject({ code: 0 });
  expect(await ingests()).toMatchObject({ ingests: [{ ref: expect.stringMatching(/^upload-/), offset: 100_000 }] });
  expect(await varve(["gc", "--ingest-age", "1ms", "--root", root.path])).toMatchObject({ code: 0 });
  expect(await ingests()).toEqual({ ingests: [] });
});

// What a stranger pushes must not be what somebody takes for an image of another registry.
test("varve serve takes nothing under the names of other registries", async () => {
  await using root = await tempDirectory();
  await using server = await serve(root.path);
  for (const repository of ["docker.io/library/app", "registry.example:5000/app"]) {
    expect((await server.ask("POST", `${repository}/blobs/uploads/`)).status).toBe(403);
  }
});

test("varve serve --no-delete lets nothing be deleted", async () => {
  await using root = await tempDirectory();
  await using server = await serve(root.path, "--no-delete");
  expect((await server.ask("DELETE", "app/manifests/v1")).status).toBe(405);
  expect((await server.ask("POST", "app/blobs/uploads/")).status).toBe(202);
});

test.each(["https://registry.example", "registry.example/team", "app", "-x.example"])(
  "%s is no upstream",
  async (text) => {
    await using root = await tempDirectory();
    const outcome = await varve(["serve", "--listen", "127.0.0.1:0", "--root", root.path, `--upstream=${text}`]);
    expect(outcome).toMatchObject({ code: 2, stderr: expect.stringContaining("not a registry") });
  },
);
