// A server of the official TypeScript SDK 1.x over HTTP that keeps its events, so that clients can resume.
//
//   resumable.mjs PORT
//
// Tool "steps" reports progress 0…9, but from the fourth on only once "go" was called; "left" tells how many
// connections closed before their answer was complete.
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";

const events = []; // [id, stream, message], ids count through all streams
const eventStore = {
  async storeEvent(stream, message) {
    events.push([String(events.length + 1), stream, message]);
    return events.at(-1)[0];
  },
  async getStreamIdForEventId(id) {
    return events.find(([known]) => known === id)?.[1];
  },
  async replayEventsAfter(last, { send }) {
    const at = events.findIndex(([id]) => id === last);
    if (at < 0) throw new Error("unknown event");
    const stream = events[at][1];
    for (const [id, of, message] of events.slice(at + 1)) {
      if (of === stream && Object.keys(message).length > 0) await send(id, message);
    }
    return stream;
  },
};

let go;
const gate = new Promise((resolve) => { go = resolve; });
let left = 0;
const server = new McpServer({ name: "resumable", version: "1" });
const text = (value) => ({ content: [{ type: "text", text: String(value) }] });
server.registerTool("steps", {}, async (extra) => {
  for (let progress = 0; progress < 10; progress++) {
    if (progress === 3) await gate;
    await extra.sendNotification({ method: "notifications/progress", params: { progressToken: extra._meta.progressToken, progress } });
  }
  return text("stepped");
});
server.registerTool("go", {}, async () => { go(); return text("gone"); });
server.registerTool("left", {}, async () => text(left));

const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: randomUUID, eventStore });
await server.connect(transport);
createServer((request, response) => {
  response.on("close", () => { left += response.writableEnded ? 0 : 1; });
  transport.handleRequest(request, response);
}).listen(Number(process.argv[2]), "127.0.0.1");
