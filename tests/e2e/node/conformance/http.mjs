// Both eras over HTTP on one path: sessions with resumable streams for the older one, a server per
// request for 2026-07-28.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

import {
  WebStandardStreamableHTTPServerTransport, createMcpHandler, hostHeaderValidationResponse, isLegacyRequest,
  localhostAllowedHostnames, localhostAllowedOrigins, originValidationResponse,
} from "@modelcontextprotocol/server";
import { toNodeHandler } from "@modelcontextprotocol/node";

import { EventStore } from "./event-store.mjs";

const RETRY_MS = 100; // how long a client waits before it resumes a stream that was closed on purpose

const failure = (status, code, message) =>
  Response.json({ jsonrpc: "2.0", id: null, error: { code, message } }, { status });

class Sessions {
  #byId = new Map();
  #makeServer;

  constructor(makeServer) {
    this.#makeServer = makeServer;
  }

  // An initialize without a session id makes a session; everything else needs one that is there.
  async fetch(request) {
    const id = request.headers.get("mcp-session-id");
    if (id !== null) {
      const transport = this.#byId.get(id);
      return transport ? transport.handleRequest(request) : failure(404, -32001, "Session not found");
    }
    if (request.method !== "POST") return failure(400, -32000, "Bad Request: Mcp-Session-Id header is required");
    return (await this.#open()).handleRequest(request);
  }

  async #open() {
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: new EventStore(),
      retryInterval: RETRY_MS,
      onsessioninitialized: (id) => void this.#byId.set(id, transport),
      onsessionclosed: (id) => void this.#byId.delete(id),
    });
    await this.#makeServer({ era: "legacy" }).connect(transport);
    return transport;
  }
}

export function serveHttp(makeServer, place) {
  const modern = createMcpHandler((context) => makeServer(context, modern.notify), { legacy: "reject" });
  const sessions = new Sessions(makeServer);
  const handler = toNodeHandler({
    fetch: async (request, options) =>
      hostHeaderValidationResponse(request, localhostAllowedHostnames()) ??
      originValidationResponse(request, localhostAllowedOrigins()) ??
      ((await isLegacyRequest(request)) ? sessions.fetch(request) : modern.fetch(request, options)),
  });

  const server = createServer((request, response) => {
    if (new URL(request.url, "http://localhost").pathname === "/mcp") return handler(request, response);
    response.writeHead(404).end();
  });
  const said = () => {
    const address = server.address();
    console.log(`listening on ${typeof address === "string" ? address : `http://127.0.0.1:${address.port}/mcp`}`);
  };
  if (/^\d+$/.test(place)) server.listen(Number(place), "127.0.0.1", said);
  else server.listen(place, said);
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(0));
}
