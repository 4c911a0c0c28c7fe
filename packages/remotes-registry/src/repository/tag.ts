const form = /^\w[\w.-]{0,127}$/;

/** Whether a text is a tag (distribution specification, "Pulling manifests"). Nothing else stands in an address. */
export function isTag(text: string): boolean {
  return form.test(text);
}
