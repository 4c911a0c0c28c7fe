import { hasCode } from "@varve/errors";
import { JsonObject, defaultMaxDocumentSize, parseJson } from "@varve/oci";
import { formatReference, parseReference } from "@varve/reference";
import { quote } from "../subject.ts";

/** One image of a `manifest.json`. */
export interface DockerImage {
  /** The path of the config in the archive. */
  readonly config: string;
  /** The paths of the layers, the lowest first. */
  readonly layers: readonly string[];
  /** Full references. */
  readonly names: readonly string[];
}

const fields = ["Config", "Layers", "RepoTags"];

/** @throws ERR_INVALID_DATA malformed, or a name that is no reference */
export function readDockerManifest(bytes: Uint8Array, subject: string): readonly DockerImage[] {
  const items = parseJson(bytes, subject, defaultMaxDocumentSize);
  // The reader of objects names every place in its messages, so the list becomes a field of one.
  const document = new JsonObject({ images: items }, subject, "", []);
  return document.required("images", document.objects("images", fields)).map((item) => ({
    config: item.required("Config", item.text("Config")),
    layers: item.texts("Layers") ?? [],
    names: namesOf(item),
  }));
}

/** Names with a digest are left out: it is that of another manifest than the one which is made here. */
function namesOf(item: JsonObject): readonly string[] {
  return (item.texts("RepoTags") ?? []).flatMap((text) => {
    try {
      const name = parseReference(text);
      return name.digest === undefined ? [formatReference(name)] : [];
    } catch (error) {
      if (!hasCode(error, "ERR_INVALID_ARGUMENT")) throw error;
      throw item.fail("RepoTags", `${quote(text)} is not a name`);
    }
  });
}
