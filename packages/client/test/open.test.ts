import { readdirSync, readlinkSync } from "node:fs";
import { existsSync } from "node:fs";
import { stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { putImage } from "@varve-tools/test-registry";
import { defaultRoot, openClient } from "@varve/client";
import { createMemoryContentStore } from "@varve/content-memory";
import { CodedError } from "@varve/errors";
import { expect, test, vi } from "vitest";
import { resolverOf } from "./resolver.ts";
import { tempDirectory } from "./temp.ts";

test("without a root, root's images are below /var/lib, others' in their XDG state directory", () => {
  const geteuid = vi.spyOn(process, "geteuid");
  try {
    geteuid.mockReturnValue(0);
    expect(defaultRoot({ XDG_STATE_HOME: "/state" })).toBe("/var/lib/varve");
    geteuid.mockReturnValue(1000);
    expect(defaultRoot({ XDG_STATE_HOME: "/state" })).toBe("/state/varve");
    // The XDG base directory specification has relative paths ignored.
    for (const env of [{}, { XDG_STATE_HOME: "" }, { XDG_STATE_HOME: "state" }]) {
      expect(defaultRoot(env)).toBe(join(homedir(), ".local/state/varve"));
    }
  } finally {
    geteuid.mockRestore();
  }
});

test("an empty HOME does not put images into the working directory", () => {
  const geteuid = vi.spyOn(process, "geteuid").mockReturnValue(1000);
  vi.stubEnv("HOME", "");
  try {
    expect(defaultRoot({})).toMatch(/^\//);
  } finally {
    vi.unstubAllEnvs();
    geteuid.mockRestore();
  }
});

test("the root is made, and closed to other users", async () => {
  await using temp = await tempDirectory();
  const root = join(temp.path, "deep/store");
  await using client = await openClient({ root });
  expect(client.root).toBe(root);
  expect((await stat(root)).mode & 0o777).toBe(0o700);
});

test("opening a store opens no snapshotter", async () => {
  await using temp = await tempDirectory();
  await using client = await openClient({ root: temp.path });
  await expect(Array.fromAsync(client.images.list())).resolves.toEqual([]);
  expect(existsSync(join(temp.path, "snapshots"))).toBe(false);
});

test("a store that is not ours is refused, and nothing stays open", async () => {
  await using temp = await tempDirectory();
  await writeFile(join(temp.path, "metadata.db"), "something else entirely");
  await expect(openClient({ root: temp.path })).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
});

// U-MD.1, I5
test("a namespace without a proper name is refused, and nothing stays open", async () => {
  await using temp = await tempDirectory();
  await expect(openClient({ root: temp.path, namespace: "a/b" })).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
  });
  const open = readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // The one of the listing itself.
      return [];
    }
  });
  expect(open.filter((path) => path.startsWith(temp.path))).toEqual([]);
});

test("a snapshotter of one's own is opened in a directory of its own, and closed with the client", async () => {
  await using temp = await tempDirectory();
  await using content = createMemoryContentStore();
  const image = await putImage(content, [{ file: "text" }]);
  const { openNativeSnapshotter } = await import("@varve/snapshots-native");
  const closed = vi.fn<() => void>();
  const opened: string[] = [];
  const client = await openClient({
    root: temp.path,
    durability: "none",
    snapshotter: "mine",
    registry: resolverOf("example.com/app:latest", image, content),
    snapshotters: {
      mine: async (root) => {
        opened.push(root);
        const snapshotter = await openNativeSnapshotter({ root, durability: "none" });
        const close = snapshotter.close.bind(snapshotter);
        snapshotter.close = () => {
          closed();
          return close();
        };
        return snapshotter;
      },
    },
  });
  expect(opened).toEqual([]);
  const result = await client.pull("app");
  expect(result.snapshotter).toBe("mine");
  expect(client.defaultSnapshotter).toBe("mine");
  await expect(client.snapshotter("mine")).resolves.toBe(await client.snapshotter());
  expect(opened).toEqual([join(temp.path, "snapshots/mine")]);
  await client.close();
  await client.close();
  expect(closed).toHaveBeenCalledOnce();
});

test.each(["../up", "a/b", "", ".", "-x"])("%j is no name for a snapshotter", async (name) => {
  await using temp = await tempDirectory();
  const never = async (): Promise<never> => {
    throw new CodedError("ERR_INTERNAL", `${name}: opened`);
  };
  await expect(openClient({ root: temp.path, snapshotters: { [name]: never } })).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
  });
});

test("a snapshotter that could not be opened is tried again at the next call", async () => {
  await using temp = await tempDirectory();
  const { openNativeSnapshotter } = await import("@varve/snapshots-native");
  let tries = 0;
  await using client = await openClient({
    root: temp.path,
    snapshotter: "mine",
    snapshotters: {
      mine: async (root) => {
        tries += 1;
        if (tries === 1) throw new CodedError("ERR_UNAVAILABLE", "snapshotter: busy");
        return openNativeSnapshotter({ root });
      },
    },
  });
  await expect(client.snapshotter()).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
  await expect(client.snapshotter()).resolves.toBeDefined();
});
