// One long call by the official TypeScript SDK 1.x: prints each progress as a line of JSON, then the result.
//
//   node resume.mjs URL COUNT USEC
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [, , url, count, usec] = process.argv;
const client = new Client({ name: "resume", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const result = await client.callTool({ name: "steps", arguments: { count: Number(count), usec: Number(usec) } }, undefined, {
  timeout: 60_000,
  onprogress: ({ message }) => console.log(JSON.stringify({ message })),
});
console.log(JSON.stringify({ text: result.content[0].text }));
await client.close();
