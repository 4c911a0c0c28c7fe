/** Names that start with it say that another name is hidden. */
export const whiteoutPrefix = ".wh.";

/** What `whiteoutOf` answers for the marker of an opaque directory, `.wh..wh..opq`. */
export const opaqueMarker = ".wh..opq";

/**
 * The name that an entry's last name hides (OCI image specification, layer.md, "Whiteouts"); `undefined` if it is an
 * ordinary name, `false` if it hides what is no name.
 */
export function whiteoutOf(name: string): string | false | undefined {
  if (!name.startsWith(whiteoutPrefix)) return undefined;
  const hidden = name.slice(whiteoutPrefix.length);
  return hidden === "" || hidden === "." || hidden === ".." ? false : hidden;
}
