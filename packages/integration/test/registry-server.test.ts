import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { exec, temporaryDirectory } from "@varve-tools/corpus";
import { describe, expect, test } from "vitest";
import { launcher, varve } from "../src/command.ts";
import { environment } from "../src/images-under-test.ts";
import { layerOf, writeLayout } from "../src/other-tools/image-layout.ts";

const { missing } = environment;

describe.skipIf(missing !== undefined)(`varve serve (privileged${missing === undefined ? "" : `: ${missing}`})`, () => {
  test("takes a push from skopeo, and gives the same bytes to skopeo and to varve", async () => {
    await using directory = await temporaryDirectory();
    await using server = await serve(join(directory.path, "served"));
    const layers = [await layerOf("etc/large", randomBytes(3_000_000)), await layerOf("etc/small", "small\n")];
    const layout = `oci:${await writeLayout(join(directory.path, "layout"), layers)}`;
    const remote = `docker://${server.host}/team/app:v1`;
    await exec("skopeo", ["copy", "-q", "--preserve-digests", "--dest-tls-verify=false", layout, remote]);
    const back = `oci:${join(directory.path, "back")}:latest`;
    await exec("skopeo", ["copy", "-q", "--preserve-digests", "--src-tls-verify=false", remote, back]);
    const pulled = await varve([
      "pull",
      "--json",
      `--root=${join(directory.path, "store")}`,
      `${server.host}/team/app:v1`,
    ]);
    expect(pulled, pulled.stderr).toMatchObject({ status: 0 });

    const wanted = await digestOf(layout);
    const listed = await varve(["images", "ls", "--json", `--root=${join(directory.path, "served")}`]);
    expect(JSON.parse(listed.stdout).images).toMatchObject([{ name: `${server.host}/team/app:v1` }]);
    expect(await digestOf(back)).toBe(wanted);
    expect(await digestOf(remote, "--tls-verify=false")).toBe(wanted);
    expect(JSON.parse(pulled.stdout).target.digest).toBe(wanted);
  });
});

async function serve(root: string): Promise<{ readonly host: string } & AsyncDisposable> {
  const child = spawn(launcher, ["serve", "--listen=127.0.0.1:0", "--progress=none", `--root=${root}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const [line] = await Promise.race([once(child.stdout, "data"), exited]);
  const host = /listening on (\S+)/.exec(String(line))?.[1];
  if (host === undefined) throw new Error(`varve serve: ${String(line)}`);
  return {
    host,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}

async function digestOf(image: string, ...options: string[]): Promise<string> {
  return (await exec("skopeo", ["inspect", "--format", "{{.Digest}}", ...options, image])).stdout.trim();
}
