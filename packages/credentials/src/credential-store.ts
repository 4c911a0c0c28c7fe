import type { Credentials } from "./credentials.ts";

export interface CredentialCallOptions {
  /** Rejects with the signal's own reason; a helper that runs is ended. */
  readonly signal?: AbortSignal | undefined;
}

/** Where credentials are looked up, and where `login` puts them. It holds nothing open: files are read anew on each call. */
export interface CredentialStore {
  /**
   * Finds what is kept for a repository: the entry of the longest part of `host/repository`, then that of the host. Without
   * `repository` only that of the host counts.
   *
   * A helper that is not installed, or that fails, is told to `onWarning`, and the next source is asked.
   *
   * @throws ERR_INVALID_DATA a file is not what it should be; the message names the file, never its contents
   * @throws ERR_DEADLINE_EXCEEDED a helper did not answer in time
   */
  get(host: string, repository?: string, options?: CredentialCallOptions): Promise<Credentials | undefined>;
  /**
   * Keeps credentials for `key`: a host, or a host with a part of a path. They go where docker or podman would put them: to the
   * helper that is configured for the host, else into the file. The file is replaced at once, by one that only its owner can
   * read, and keeps everything else that is in it.
   *
   * @returns where they are now, for messages
   * @throws ERR_NOT_IMPLEMENTED only the environment is configured, or the helper takes no such key
   */
  put(key: string, credentials: Credentials, options?: CredentialCallOptions): Promise<string>;
  /**
   * Forgets what is kept for `key`, in every place that has it.
   *
   * @returns the places; none if nothing was kept
   */
  delete(key: string, options?: CredentialCallOptions): Promise<readonly string[]>;
  /** The keys for which something is kept, as they are written there. */
  list(options?: CredentialCallOptions): Promise<readonly CredentialEntry[]>;
}

/** One key, and where it is kept. */
export interface CredentialEntry {
  readonly key: string;
  /** Absent for tokens, and where a helper does not tell. */
  readonly username?: string | undefined;
  readonly source: string;
}
