import type { Ctr } from "./started-containerd.ts";

type Labels = Readonly<Record<string, string>>;

/** What a namespace of containerd has, as ctr tells it, without times. */
export interface Records {
  /** By name. */
  readonly images: Readonly<
    Record<string, { readonly type: string; readonly digest: string; readonly labels: Labels }>
  >;
  /** By digest. */
  readonly content: Readonly<Record<string, { readonly size: string; readonly labels: Labels }>>;
  /** By key or name. */
  readonly snapshots: Readonly<
    Record<string, { readonly kind: string; readonly parent: string | undefined; readonly labels: Labels }>
  >;
  /** Refs of what is being written. */
  readonly ingests: readonly string[];
  readonly leases: readonly string[];
}

/** What there is when there is nothing. */
export const noRecords: Records = { images: {}, content: {}, snapshots: {}, ingests: [], leases: [] };

export async function recordsOf(ctr: Ctr, snapshotter = "overlayfs"): Promise<Records> {
  const images = table(await ctr("images", "ls"), / +/);
  const content = table(await ctr("content", "ls"), /\t/);
  const keys = await keysOf(ctr, snapshotter);
  const infos = await Promise.all(
    keys.map(async (key) => [key, infoOf(await ctr("snapshots", "--snapshotter", snapshotter, "info", key))] as const),
  );
  return {
    images: Object.fromEntries(
      images.map(([name = "", type = "", digest = "", , , , labels = "-"]) => [
        name,
        { type, digest, labels: labelsOf(labels) },
      ]),
    ),
    content: Object.fromEntries(
      content.map(([digest = "", size = "", , labels = "-"]) => [digest, { size, labels: labelsOf(labels) }]),
    ),
    snapshots: Object.fromEntries(infos),
    ingests: table(await ctr("content", "active"), /\t/).map(([ref = ""]) => ref),
    leases: table(await ctr("leases", "ls"), / +/).map(([id = ""]) => id),
  };
}

/** A key may have spaces: it ends where the next column begins. */
async function keysOf(ctr: Ctr, snapshotter: string): Promise<string[]> {
  const text = await ctr("snapshots", "--snapshotter", snapshotter, "ls");
  const width = text.indexOf("PARENT");
  return linesOf(text).map((line) => line.slice(0, width).trimEnd());
}

function infoOf(json: string): Records["snapshots"][string] {
  const { Kind, Parent, Labels = {} } = JSON.parse(json) as { Kind: string; Parent?: string; Labels?: Labels };
  return { kind: Kind, parent: Parent, labels: Labels };
}

function table(text: string, between: RegExp): string[][] {
  return linesOf(text).map((line) => line.trimEnd().split(between));
}

/** Without the header. */
function linesOf(text: string): string[] {
  return text
    .split("\n")
    .slice(1)
    .filter((line) => line.trim() !== "");
}

function labelsOf(text: string): Labels {
  return text === "-" ? {} : Object.fromEntries(text.split(",").map((pair) => splitOnce(pair)));
}

function splitOnce(pair: string): [string, string] {
  const at = pair.indexOf("=");
  return [pair.slice(0, at), pair.slice(at + 1)];
}
