export type { Credentials, CredentialsCallback, RegistryResolverOptions } from "./options.ts";
export { createRegistryResolver } from "./resolver.ts";
