// The resources: texts, bytes, one that can be watched, and a template.
import { ResourceTemplate } from "@modelcontextprotocol/server";

import { PNG } from "./content.mjs";

const FIXED = [
  ["static-text", "A text", "text/plain", { text: "This is the content of the static text resource." }],
  ["static-binary", "An image", "image/png", { blob: PNG }],
  ["watched-resource", "A text that can be subscribed to", "text/plain", { text: "Watched" }],
];

export function registerResources(server, era) {
  for (const [name, description, mimeType, content] of FIXED) {
    const uri = `test://${name}`;
    const contents = [{ uri, mimeType, ...content }];
    server.registerResource(name, uri, { description, mimeType }, async () => ({ contents }));
  }
  server.registerResource(
    "template",
    new ResourceTemplate("test://template/{id}/data", { list: undefined }),
    { description: "Data of an id", mimeType: "application/json" },
    async (uri, { id }) => ({
      contents: [{
        uri: uri.href,
        mimeType: "application/json",
        text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
      }],
    }),
  );
  if (era === "legacy") { // the newest revision has subscriptions/listen, which the SDK answers
    server.server.setRequestHandler("resources/subscribe", async () => ({}));
    server.server.setRequestHandler("resources/unsubscribe", async () => ({}));
  }
}
