import type { DigestAlgorithm } from "@varve/digest";

/** What the hash thread is told. A job is one pass over one open file. */
export type HashOrder =
  | { readonly kind: "open"; readonly job: number; readonly fd: number; readonly algorithm: DigestAlgorithm }
  /** The file has this many bytes now. */
  | { readonly kind: "grown"; readonly job: number; readonly size: number }
  /**
   * The bytes that are being written at `position`: hashing them here saves reading them. All before them are in the file.
   * They stay as they are until they are `released`.
   */
  | {
      readonly kind: "piece";
      readonly job: number;
      readonly piece: number;
      readonly bytes: Uint8Array;
      readonly position: number;
    }
  /** The digest of the first `size` bytes is wanted; there are no more yet. */
  | { readonly kind: "digest"; readonly job: number; readonly size: number }
  /** The file is going to be closed. */
  | { readonly kind: "drop"; readonly job: number };

/** What the hash thread tells. */
export type HashNews =
  /** Now and then: how far it is. */
  | { readonly kind: "hashed"; readonly job: number; readonly size: number }
  | { readonly kind: "released"; readonly job: number; readonly piece: number }
  | { readonly kind: "digest"; readonly job: number; readonly hex: string }
  | { readonly kind: "failed"; readonly job: number; readonly failure: HashFailure }
  /** The file is not read any more. */
  | { readonly kind: "dropped"; readonly job: number };

/** An error of the system without its class, which does not survive the way between threads. */
export interface HashFailure {
  readonly message: string;
  readonly code?: string | undefined;
  readonly errno?: number | undefined;
  readonly syscall?: string | undefined;
}
