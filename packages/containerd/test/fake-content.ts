import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { connectContainerd } from "@varve/containerd";
import type { Containerd } from "@varve/containerd";
import { digestOf } from "@varve/digest";
import { Content, WriteAction } from "../src/gen/containerd/services/content/v1/content_pb.js";
import type {
  WriteContentRequest,
  WriteContentResponseSchema,
} from "../src/gen/containerd/services/content/v1/content_pb.js";
import { startFake } from "./fake-containerd.ts";

export type Answer = MessageInitShape<typeof WriteContentResponseSchema>;

/** One ingest as containerd's own server keeps it, without its checks. */
export class FakeIngest {
  readonly requests: WriteContentRequest[] = [];
  bytes: Buffer = Buffer.alloc(0);

  answer(request: WriteContentRequest): Answer {
    this.requests.push(request);
    const { action, offset, data } = request;
    if (action !== WriteAction.STAT) {
      if (offset === 0n) this.bytes = Buffer.alloc(0);
      this.bytes = Buffer.concat([this.bytes, data]);
    }
    return { action, offset: BigInt(this.bytes.byteLength), digest: digestOf(this.bytes) };
  }

  /** What was asked for, without the first STAT. */
  get asked(): readonly WriteContentRequest[] {
    return this.requests.slice(1);
  }
}

export interface FakeContent extends AsyncDisposable {
  readonly containerd: Containerd;
}

/** A containerd of which only the content service is there. */
export async function startContent(service: Partial<ServiceImpl<typeof Content>>): Promise<FakeContent> {
  const fake = await startFake((router) => router.service(Content, service));
  const containerd = connectContainerd({ address: fake.address });
  return {
    containerd,
    [Symbol.asyncDispose]: async () => {
      await containerd.close();
      await fake[Symbol.asyncDispose]();
    },
  };
}
