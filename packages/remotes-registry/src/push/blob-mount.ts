import type { Registry } from "../hosts/registry.ts";
import type { Reply } from "../http/reply.ts";
import type { Presence } from "./presence.ts";
import { cancelUpload, sessionOf, startOf } from "./upload-session.ts";
import type { UploadSession } from "./upload-session.ts";

// Each one that is in vain is a request, before a blob that could be on its way.
const maxCandidates = 3;

/**
 * Asks a registry to take a blob from another of its repositories (P2). Whatever it answers, nothing is lost: a refusal, also by
 * the token server (C-PSH.4), means an upload, and the upload that a registry begins instead of a mount is used.
 *
 * @returns `undefined`: an upload is to be begun
 */
export async function mountBlob(
  registry: Registry,
  presence: Presence,
  candidates: readonly string[],
): Promise<"mounted" | UploadSession | undefined> {
  const { repository, descriptor, signal } = presence;
  const others = candidates.filter((candidate) => candidate !== repository);
  let session: UploadSession | undefined;
  for (const from of others.slice(0, maxCandidates)) {
    if (session !== undefined) await cancelUpload(registry, repository, session);
    session = undefined;
    const reply = await ask(registry, presence, from);
    if (reply?.status === 202) session = sessionOf(reply);
    if (reply?.status !== 201) continue;
    const told = reply.header("docker-content-digest");
    if (told === undefined || told === descriptor.digest) return "mounted";
  }
  signal?.throwIfAborted();
  return session;
}

async function ask(registry: Registry, presence: Presence, from: string): Promise<Reply | undefined> {
  const { repository, descriptor, signal } = presence;
  try {
    const reply = await registry.send(startOf(repository, descriptor, { mountFrom: from, signal }));
    await reply.discard();
    return reply;
  } catch (error) {
    signal?.throwIfAborted();
    // A token for the other repository is not to be had, for example.
    void error;
    return undefined;
  }
}
