export { chainId, chainIds } from "./chain-id.ts";
export { digestAlgorithm, digestHex, isDigest, parseDigest } from "./digest.ts";
export type { Digest, DigestAlgorithm } from "./digest.ts";
export { createDigester, digestOf, digestStream } from "./digester.ts";
export type { Digester } from "./digester.ts";
export { createVerifier, verifyStream } from "./verifier.ts";
export type { Verifier } from "./verifier.ts";
