/** Bytes of a path or name as the kernel has them, or text that is encoded as UTF-8. */
export type PathLike = string | Uint8Array;
