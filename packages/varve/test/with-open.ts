import type { Provider } from "@varve/content";

/** The same content with blobs that are read in another way. */
export function withOpen<T extends Provider>(content: T, open: Provider["open"]): T {
  return new Proxy(content, {
    get: (target, name) => {
      if (name === "open") return open;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
