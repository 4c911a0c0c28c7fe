import { CodedError } from "@varve/errors";
import { untilAborted } from "@varve/locks";
import type { Limiter } from "@varve/locks";
import { describeStatus } from "../http/node-http.ts";
import { Reply } from "../http/reply.ts";
import type { Settings } from "../options.ts";
import { mustBeAsked, mustBeMeant } from "./answer-checks.ts";
import type { EndpointCapability } from "./endpoint.ts";
import { FailedServers } from "./failed-servers.ts";
import { FirstServerLimiter } from "./first-server-limiter.ts";
import type { HostRequest, RegistryRequest } from "./registry-request.ts";
import { registryItself } from "./registry-hosts.ts";
import type { RegistryHosts, Route } from "./registry-hosts.ts";

/** What is known of an answer that was handed out. */
interface Answer {
  readonly route: Route;
  readonly failed: FailedServers;
  /** Nobody else is worth asking. */
  readonly isFinal: boolean;
  /** Whoever is not to be asked first if it comes to nothing: its server, and those before it. */
  readonly avoid: ReadonlySet<Route>;
}

/**
 * One repository of a registry as its name stands in references, whichever servers answer for it: the registry itself and
 * its mirrors, in the order in which they are to be asked.
 *
 * A mirror gets one attempt: what it does not have, or cannot give, is asked of the next server at once. Only the last one
 * is waited for.
 */
export class Registry {
  /** Held by whoever fetches a blob: a place at the server that is asked first. */
  readonly transfers: Limiter = new FirstServerLimiter(() => this.#able("pull"));
  /** Held by whoever sends a blob. */
  readonly uploads: Limiter = new FirstServerLimiter(() => this.#able("push"));
  readonly #domain: string;
  readonly #repository: string;
  readonly #settings: Settings;
  readonly #hosts: RegistryHosts;
  readonly #answers = new WeakMap<Reply, Answer>();
  readonly #told = new Set<string>();
  #routes: Promise<readonly Route[]> | undefined;

  constructor(
    name: { readonly domain: string; readonly repository: string },
    settings: Settings,
    hosts: RegistryHosts,
  ) {
    this.#domain = name.domain;
    this.#repository = name.repository;
    this.#settings = settings;
    this.#hosts = hosts;
  }

  /**
   * Sends a request until it is answered for good; whatever the status, the answer is the result. Of a status that is an
   * error it is the last server's: those of mirrors are passed over.
   *
   * @throws ERR_FAILED_PRECONDITION no server can do what the request is for
   */
  async send(request: RegistryRequest): Promise<Reply> {
    const { signal } = request;
    const able = await untilAborted(this.#routesFor(request), signal);
    const last = able.at(-1);
    const avoid = this.#avoided(able, request.after);
    const order = able.toSorted((a, b) => rank(a, avoid) - rank(b, avoid));
    const failed = new FailedServers();
    // An answer of the last server, which counts if those that were put behind it have nothing better.
    let held: Reply | undefined;
    for (const [index, route] of order.entries()) {
      const outcome = await this.#ask(route, request, route === last, failed).catch(async (error: unknown) => {
        await held?.discard();
        throw error;
      });
      if (outcome instanceof Reply) {
        const isFinal = route === last || avoid.has(route);
        this.#answers.set(outcome, { route, failed, isFinal, avoid: new Set([...avoid, route]) });
        if (isAnswer(outcome, request)) {
          await held?.discard();
          return outcome;
        }
        held = outcome;
      }
      this.#tell(route, order[index + 1], outcome instanceof Reply ? describeStatus(outcome.status) : outcome);
    }
    if (held === undefined) throw failed.mostTelling();
    return held;
  }

  /**
   * Whether nobody else is worth asking when an answer turns out to be of no use: it is the last server's, or that of one which
   * came to nothing before. Else the request may be sent again, with the answer as `after`.
   */
  isFinal(reply: Reply): boolean {
    return this.#answers.get(reply)?.isFinal ?? true;
  }

  /** The error for an answer with an unwanted status; reads its body. */
  async failure(reply: Reply, request: RegistryRequest): Promise<CodedError> {
    const answer = this.#answers.get(reply);
    if (answer === undefined) throw new CodedError("ERR_INTERNAL", `registry ${this.#domain}: not an answer of it`);
    const { failed, route } = answer;
    return failed.notedIn(await route.host.failure(reply, this.#localized(request, route)));
  }

  /** Asks one server. @returns its answer; the reason, when it is a mirror's and of no use, or there is none */
  async #ask(route: Route, request: RegistryRequest, isLast: boolean, failed: FailedServers): Promise<Reply | string> {
    const { host } = route;
    const local = this.#localized(request, route);
    try {
      const reply = await host.send(local, isLast);
      await mustBeMeant(reply, local, host.name);
      if (isLast) return reply;
      await mustBeAsked(reply, local, host.name);
      if (isAnswer(reply, request)) return reply;
      return failed.add(host.name, await host.failure(reply, local), reply.status);
    } catch (error) {
      if (request.signal?.aborted === true || !(error instanceof CodedError)) throw error;
      return failed.add(host.name, error);
    }
  }

  #localized(request: RegistryRequest, { isRegistry, repository }: Route): HostRequest {
    return { ...request, repository, namespace: isRegistry ? undefined : this.#domain };
  }

  async #routesFor({ continues, purpose }: RegistryRequest): Promise<readonly Route[]> {
    // An address, and a session behind it, belong to the server that named it.
    const answer = continues === undefined ? undefined : this.#answers.get(continues);
    return answer === undefined ? this.#able(purpose) : [answer.route];
  }

  /** Those that can do something, in order; pushed is to one only: the registry itself, if it takes it. */
  async #able(purpose: EndpointCapability): Promise<readonly Route[]> {
    const routes = await this.#allRoutes();
    const able = routes.filter(({ capabilities }) => capabilities.has(purpose));
    const [first] = able;
    if (first === undefined) {
      const text = `registry ${this.#domain}: none of its ${routes.length} configured servers can ${purpose}`;
      throw new CodedError("ERR_FAILED_PRECONDITION", text);
    }
    return purpose === "push" ? [able.find(({ isRegistry }) => isRegistry) ?? first] : able;
  }

  #allRoutes(): Promise<readonly Route[]> {
    if (this.#routes !== undefined) return this.#routes;
    const asked = this.#askForRoutes();
    this.#routes = asked;
    // Whoever asks next may be luckier: a file may have been mended.
    asked.catch(() => (this.#routes = undefined));
    return asked;
  }

  async #askForRoutes(): Promise<readonly Route[]> {
    const endpoints = await this.#settings.endpoints(this.#domain, this.#repository);
    const all = endpoints ?? [registryItself(this.#domain)];
    return all.map((endpoint) => this.#hosts.route(endpoint, this.#domain, this.#repository));
  }

  /** The servers whose answers came to nothing; none, when that is all there are. */
  #avoided(able: readonly Route[], after: Reply | undefined): ReadonlySet<Route> {
    const avoid = (after === undefined ? undefined : this.#answers.get(after)?.avoid) ?? new Set<Route>();
    return able.every((route) => avoid.has(route)) ? new Set() : avoid;
  }

  /** Once for each mirror and reason: an image has many blobs. */
  #tell(from: Route, to: Route | undefined, reason: string): void {
    if (to === undefined) return;
    const host = from.host.name;
    const key = `${host} ${to.host.name} ${reason}`;
    if (this.#told.has(key) || this.#told.size >= 100) return;
    this.#told.add(key);
    this.#settings.onNotice({ type: "fallback", host, to: to.host.name, reason });
  }
}

/** Those that disappointed come last, before them those that could not be reached a short while ago. */
function rank(route: Route, avoid: ReadonlySet<Route>): number {
  return avoid.has(route) ? 2 : route.host.isResting ? 1 : 0;
}

/** Whether another server could not say it better. Who asks deals with a HEAD that is not known, and a range that is not there. */
function isAnswer({ status }: Reply, { headers, method, target }: RegistryRequest): boolean {
  if (method !== "GET" && method !== "HEAD") return status < 300;
  if (status === 405) return method === "HEAD" && typeof target === "string" && target.startsWith("manifests/");
  return status === 200 || ((status === 206 || status === 416) && headers?.["range"] !== undefined);
}
