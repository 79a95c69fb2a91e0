import { Agent, type AgentOptions } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/**
 * An https.Agent that leaves connections of an old certificate behind: idle ones are closed at a
 * renewal, busy ones after their request. Nothing under way is interrupted.
 */
export class RenewingAgent extends Agent {
  #generation = 0;
  readonly #generationOf = new WeakMap<Duplex, number>();

  constructor(options: AgentOptions) {
    super({ keepAlive: true, ...options });
  }

  /** Later requests get connections made from now on. */
  retireConnections(): void {
    this.#generation += 1;
    for (const socket of Object.values(this.freeSockets).flatMap((list) => list ?? [])) {
      socket.destroy();
    }
  }

  override createConnection(
    ...parameters: Parameters<Agent["createConnection"]>
  ): ReturnType<Agent["createConnection"]> {
    const socket = super.createConnection(...parameters);
    if (socket) this.#generationOf.set(socket, this.#generation);
    return socket;
  }

  override keepSocketAlive(socket: Duplex): boolean {
    const current = this.#generationOf.get(socket) === this.#generation;
    return current && keepsAlive(super.keepSocketAlive(socket as Socket));
  }
}

/** Node's own method answers; its types say that it does not. */
function keepsAlive(answer: unknown): boolean {
  return answer !== false;
}
