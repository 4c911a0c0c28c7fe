import type { CallOptions, LabelChanges, WalkOptions } from "@varve/content";

export interface NamespaceInfo {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * The namespaces of a store. A name has at most 76 characters: letters, digits, and between them single dots, dashes or
 * underscores (U-MD.1). A namespace that is used comes into being by itself.
 */
export interface NamespaceStore {
  /**
   * @throws ERR_ALREADY_EXISTS the name is used
   * @throws ERR_INVALID_ARGUMENT not a name
   */
  create(
    name: string,
    options?: CallOptions & { readonly labels?: Readonly<Record<string, string>> },
  ): Promise<NamespaceInfo>;
  /** @throws ERR_NOT_FOUND no such namespace */
  get(name: string, options?: CallOptions): Promise<NamespaceInfo>;
  /** By name. Filters know the fields `name` and `labels.<name>`. */
  list(options?: WalkOptions): AsyncIterable<NamespaceInfo>;
  /** Changes labels by name; `undefined` removes. @throws ERR_NOT_FOUND no such namespace */
  label(name: string, changes: LabelChanges, options?: CallOptions): Promise<NamespaceInfo>;
  /**
   * @throws ERR_NOT_FOUND no such namespace
   * @throws ERR_FAILED_PRECONDITION there is something in it; the message says what (U-MD.11)
   */
  delete(name: string, options?: CallOptions): Promise<void>;
}
