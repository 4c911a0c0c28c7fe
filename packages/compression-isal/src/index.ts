export { createIsalDecoders } from "./isal-decoders.ts";
