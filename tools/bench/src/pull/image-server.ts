import { buildBenchImage, exec, isBenchImage, startDockerRegistry } from "@varve-tools/corpus";
import type { LayerForm } from "@varve-tools/corpus";

/** The images of the bench, in a registry on loopback. */
export interface ImageServer extends AsyncDisposable {
  /** Builds and pushes an image at the first call for it; what has a host in its name is somewhere already. */
  reference(image: string, form: LayerForm): Promise<string>;
}

/** Serves images that are kept, or built, in `directory`. */
export async function serveImages(directory: string): Promise<ImageServer> {
  const registry = await startDockerRegistry();
  const pushed = new Set<string>();
  return {
    async reference(image, form) {
      if (image.includes("/")) return image;
      if (!isBenchImage(image)) throw new Error(`bench: ${image}: no such image`);
      const reference = `${registry.host}/${image}-${form}:latest`;
      if (pushed.has(reference)) return reference;
      console.error(`building and pushing ${image}, ${form}`);
      const layout = await buildBenchImage(directory, image, form);
      const options = ["-q", "--preserve-digests", "--dest-tls-verify=false"];
      await exec("skopeo", ["copy", ...options, `oci:${layout}:latest`, `docker://${reference}`]);
      pushed.add(reference);
      return reference;
    },
    [Symbol.asyncDispose]: () => registry.close(),
  };
}
