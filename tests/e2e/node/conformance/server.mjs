// A server with everything that the scenarios of @modelcontextprotocol/conformance ask for, in both
// eras of the protocol: up to 2025-11-25 (initialize) and 2026-07-28 (stateless).
//
//   node server.mjs stdio
//   node server.mjs http PORT|SOCKET     # 127.0.0.1:PORT, 0 for any; or a Unix socket. Says "listening on …"
import { McpServer, createRequestStateCodec } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";

import { serveHttp } from "./http.mjs";
import { registerInputTools } from "./input-required.mjs";
import { registerPrompts } from "./prompts.mjs";
import { registerResources } from "./resources.mjs";
import { TASKS_EXTENSION, registerTasks } from "./tasks.mjs";
import { registerTools } from "./tools.mjs";

// The state of a question spread over several requests. The key is the same in every instance, as it
// must be wherever the next round may reach another one.
const stateCodec = createRequestStateCodec({ key: "0123456789abcdef0123456789abcdef" });

// One server per connection (stdio) or per session or request (HTTP); changes tells every listener.
function makeServer({ era }, changes) {
  const server = new McpServer(
    { name: "envmux-conformance", version: "1.0.0" },
    {
      capabilities: {
        logging: {},
        completions: {},
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        ...(era === "modern" && { extensions: { [TASKS_EXTENSION]: {} } }),
      },
      cacheHints: { "tools/list": { ttlMs: 1000, cacheScope: "private" } },
      requestState: { verify: stateCodec.verify },
    },
  );
  const change = changes ?? {
    toolsChanged: () => server.sendToolListChanged(),
    promptsChanged: () => server.sendPromptListChanged(),
    resourceUpdated: (uri) => server.server.sendResourceUpdated({ uri }),
  };
  registerTools(server, era, change);
  registerInputTools(server, stateCodec);
  registerResources(server, era);
  registerPrompts(server);
  if (era === "modern") registerTasks(server);
  return server;
}

const [transport, place] = process.argv.slice(2);
if (transport === "stdio") {
  serveStdio(makeServer, { onerror: (error) => console.error(error.message) });
} else if (transport === "http" && place) {
  serveHttp(makeServer, place);
} else {
  console.error("usage: server.mjs stdio | http PORT|SOCKET");
  process.exit(2);
}
