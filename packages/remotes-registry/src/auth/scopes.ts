/** What is asked of a token server: `repository:<name>:<actions>` (registry token specification). */
export type Scope = string;

/** What is done in a repository; `*` is what some registries want for a deletion. */
export type Actions = "pull" | "pull,push" | "delete" | "*";

export function repositoryScope(repository: string, actions: Actions): Scope {
  return `repository:${repository}:${actions}`;
}

/**
 * Joins two lists to one scope for each resource, actions sorted. Those in `first` stay in front: some servers read
 * only the first one.
 */
export function mergeScopes(first: readonly Scope[], second: readonly Scope[]): Scope[] {
  const resources = new Map<string, Set<string>>();
  for (const scope of [...first, ...second]) {
    const colon = scope.lastIndexOf(":");
    // Without a colon there are no actions to join; the scope stands for itself.
    const resource = colon === -1 ? scope : scope.slice(0, colon);
    const actions = resources.get(resource) ?? new Set<string>();
    if (colon !== -1) for (const action of scope.slice(colon + 1).split(",")) actions.add(action);
    resources.set(resource, actions);
  }
  return Array.from(resources, ([resource, actions]) =>
    actions.size === 0 ? resource : `${resource}:${[...actions].toSorted().join(",")}`,
  );
}

// What real servers demand is one, now and then two, and short.
const maxDemanded = 16;
const maxLength = 512;

/** The scopes named in a challenge; what nobody means is left out, since it is kept and sent. */
export function splitScopes(text: string | undefined): Scope[] {
  const scopes = (text ?? "").split(" ").filter((scope) => scope !== "" && scope.length <= maxLength);
  return scopes.slice(0, maxDemanded);
}
