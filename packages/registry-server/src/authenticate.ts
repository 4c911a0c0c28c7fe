/** What a client wants to do, and what it says of itself. */
export interface AccessRequest {
  /** The value of `Authorization`, as it came. */
  readonly authorization: string | undefined;
  /** Absent for the API's root (`pull`) and for the list of repositories (`catalog`). */
  readonly repository?: string | undefined;
  readonly action: AccessAction;
}

/** `pull` reads, `push` adds and moves tags, `delete` takes away, `catalog` lists the names of all repositories. */
export type AccessAction = "pull" | "push" | "delete" | "catalog";

/** A value of `WWW-Authenticate`, by which a client learns how to say who it is. */
export interface Challenge {
  readonly challenge: string;
}

/**
 * Judges a request: `allow`; `deny`, it is known who asks, and that is not enough; or a challenge. It is asked at least once
 * for each request, and must neither keep nor log what it is given.
 */
export type Authenticate = (request: AccessRequest) => Promise<"allow" | "deny" | Challenge>;
