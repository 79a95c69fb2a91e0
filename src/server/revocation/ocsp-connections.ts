/**
 * OCSP on the plain listener before HTTP proper: each connection's messages are looked at as they
 * come, and a plain OCSP request is answered at once. At the first message that is anything else
 * the connection goes, with that message, to the HTTP server for good: limits, errors and
 * everything unusual are in one place, there.
 */

import type { Server } from "node:http";
import type { Socket } from "node:net";
import type { OcspAnswer } from "../../authority/ocsp/issuer-responder.ts";
import type { OcspResponder } from "../../authority/ocsp/responder.ts";
import { answerOcsp, cacheControl, lastingHeaders } from "./ocsp-answer.ts";
import { type OcspCall, readOcspCall } from "./ocsp-call.ts";

type Serve = (socket: Socket) => void;

/** Puts itself before the HTTP server's own listener; `close` ends the connections that wait. */
export function answerOcspFirst(server: Server, responder: OcspResponder): { close(): void } {
  const serveHttp = server.listeners("connection").map((listener) => listener as Serve);
  server.removeAllListeners("connection");
  const open = new Set<OcspConnection>();
  let closing = false;
  server.on("connection", (socket: Socket) => {
    const connection = new OcspConnection(socket, {
      responder,
      server,
      closing: () => closing,
      ended: () => open.delete(connection),
      handOver: () => {
        for (const serve of serveHttp) serve.call(server, socket);
      },
    });
    open.add(connection);
  });
  return {
    close: () => {
      closing = true;
      for (const connection of open) connection.closeIdle();
    },
  };
}

interface Surroundings {
  readonly responder: OcspResponder;
  /** Its time limits are ours. */
  readonly server: Pick<Server, "headersTimeout" | "keepAliveTimeout">;
  readonly closing: () => boolean;
  /** The connection is over, or no longer ours. */
  readonly ended: () => void;
  readonly handOver: () => void;
}

class OcspConnection {
  readonly #socket: Socket;
  readonly #around: Surroundings;
  /** The beginning of a message of which the rest must come at once. */
  #held: Buffer | undefined;
  #busy = false;
  #answered = false;

  constructor(socket: Socket, around: Surroundings) {
    this.#socket = socket;
    this.#around = around;
    socket.on("data", this.#read);
    socket.on("end", this.#end);
    socket.on("close", around.ended);
    socket.on("error", ignore);
    socket.on("timeout", this.#end);
    socket.setTimeout(around.server.headersTimeout);
  }

  closeIdle(): void {
    if (!this.#busy) this.#socket.destroySoon();
  }

  readonly #end = () => {
    this.#socket.destroySoon();
  };

  readonly #read = (chunk: Buffer) => {
    const message = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    const call = readOcspCall(message);
    if (call === "incomplete" && this.#held === undefined) {
      this.#held = message;
      return;
    }
    if (typeof call === "string") {
      this.#handOver(message);
      return;
    }
    this.#held = undefined;
    const kept = this.#around.responder.keptAnswer(call.der);
    if (kept !== undefined) this.#write(kept, call);
    else this.#answerLater(message, call);
  };

  #answerLater(message: Buffer, call: OcspCall): void {
    this.#busy = true;
    this.#socket.pause();
    answerOcsp(this.#around.responder, call.der).then(
      (answer) => {
        this.#busy = false;
        this.#write(answer, call);
        this.#socket.resume();
      },
      () => {
        // The HTTP server tries again: should it fail there too, it logs it and says so in a 500.
        this.#handOver(message);
        this.#socket.resume();
      },
    );
  }

  #write(answer: OcspAnswer, { keepAlive }: OcspCall): void {
    const socket = this.#socket;
    const stays = keepAlive && !this.#around.closing();
    const flushed = socket.write(encodeAnswer(answer, stays));
    if (!stays) {
      socket.destroySoon();
      return;
    }
    if (!this.#answered) {
      this.#answered = true;
      socket.setTimeout(this.#around.server.keepAliveTimeout);
    }
    if (flushed) return;
    // Who does not read his answers gets no more of them.
    socket.pause();
    socket.once("drain", () => socket.resume());
  }

  #handOver(message: Buffer): void {
    const socket = this.#socket;
    const { ended, handOver } = this.#around;
    socket.off("data", this.#read).off("end", this.#end).off("timeout", this.#end);
    socket.off("close", ended).off("error", ignore);
    socket.setTimeout(0);
    ended();
    socket.unshift(message);
    handOver();
  }
}

/** A connection that breaks is closed by Node; there is nobody left to tell. */
function ignore(): void {}

/** Everything of an answer that does not change while it is kept. */
const heads = new WeakMap<OcspAnswer, string>();
let date = { second: 0, text: "" };

function encodeAnswer(answer: OcspAnswer, keepAlive: boolean): Buffer {
  let head = heads.get(answer);
  if (head === undefined) {
    const lines = lastingHeaders(answer).map(([name, value]) => `${name}: ${value}\r\n`);
    head = `HTTP/1.1 200 OK\r\ncontent-length: ${answer.der.length}\r\n${lines.join("")}`;
    heads.set(answer, head);
  }
  const connection = keepAlive ? "keep-alive" : "close";
  const text = `${head}cache-control: ${cacheControl(answer)}\r\ndate: ${dateNow()}\r\nconnection: ${connection}\r\n\r\n`;
  const message = Buffer.allocUnsafe(text.length + answer.der.length);
  message.write(text, "latin1");
  message.set(answer.der, text.length);
  return message;
}

function dateNow(): string {
  const second = Math.floor(Date.now() / 1000);
  if (date.second !== second) date = { second, text: new Date().toUTCString() };
  return date.text;
}
