import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ContentStore } from "@varve/content";
import { CodedError } from "@varve/errors";
import { WriteAction } from "../gen/containerd/services/content/v1/content_pb.js";
import type {
  WriteContentRequest,
  WriteContentResponseSchema,
} from "../gen/containerd/services/content/v1/content_pb.js";
import { WriteSession } from "./content-write-session.ts";

type Answer = MessageInitShape<typeof WriteContentResponseSchema>;

/**
 * Answers one Write: each request with one answer, and nothing after that of a commit (P-CS.4, P-CS.6). However the stream ends
 * before that, the ref is free again and the bytes stay (P-CS.7).
 *
 * @throws ERR_INVALID_ARGUMENT the first request names no ref
 */
export async function* answerWrites(
  content: ContentStore,
  requests: AsyncIterable<WriteContentRequest>,
  signal: AbortSignal,
): AsyncGenerator<Answer, void, undefined> {
  let session: WriteSession | undefined;
  let hasFailed = false;
  try {
    for await (const request of requests) {
      session ??= await WriteSession.open(content, request, signal);
      yield await session.answer(request);
      if (request.action === WriteAction.COMMIT) return;
    }
    if (session === undefined) throw new CodedError("ERR_INVALID_ARGUMENT", "ingest: there is no first message");
  } catch (error) {
    hasFailed = true;
    throw error;
  } finally {
    await session?.close().catch((error: unknown) => {
      // What went wrong first is what the caller has to know.
      if (!hasFailed) throw error;
    });
  }
}
