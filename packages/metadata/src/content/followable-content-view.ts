import type { Follower, StreamOptions } from "@varve/content";
import type { Scope } from "../store-context.ts";
import { ContentView } from "./content-view.ts";

/** The same over a store that can be followed. */
export class FollowableContentView extends ContentView implements Follower {
  readonly #follower: Follower;

  constructor(scope: Scope, follower: Follower) {
    super(scope);
    this.#follower = follower;
  }

  async *follow(ref: string, options: StreamOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    this.begin(options);
    yield* this.#follower.follow(this.below(ref), options);
  }
}
