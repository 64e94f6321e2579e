// Stateless clients (MCP 2026-07-28) of @modelcontextprotocol/client 2.x, against modern_backend.py.
//
//   node modern.mjs URL
//
// Prints what the clients saw, as one JSON object.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const connect = async (mode) => {
  const client = new Client({ name: "same", version: "1.0.0" }, { versionNegotiation: { mode } });
  await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2])));
  return client;
};
const call = async (client, name, args = {}, options) => {
  const { text } = (await client.callTool({ name, arguments: args }, options)).content[0];
  try { return JSON.parse(text); } catch { return text; }
};
const until = async (client, name, wanted) => {
  while (!wanted(await call(client, name))) await new Promise((resolve) => setTimeout(resolve, 20));
};

const [one, two, driver] = await Promise.all([connect("auto"), connect({ pin: "2026-07-28" }), connect("auto")]);
const seen = { revisions: [one, two].map((client) => client.getNegotiatedProtocolVersion()), progress: { one: [], two: [] } };

// Calls in flight at once: each client counts its ids and tokens from 0.
const held = [[one, "one"], [two, "two"]].map(([client, name]) =>
  call(client, "hold", { name }, { onprogress: ({ progress }) => seen.progress[name].push(progress) }));
await until(driver, "holding", (names) => names.length === 2);
for (const step of [1, 2]) {
  await call(driver, "progress", { name: "two", step: 10 * step });
  await call(driver, "progress", { name: "one", step });
}
for (const name of ["one", "two"]) await call(driver, "release", { name, value: `for ${name}` });
seen.answers = await Promise.all(held);

// Both listen under the same id, for different news.
const news = [];
let heard;
for (const [client, name] of [[one, "one"], [two, "two"]])
  for (const method of ["notifications/tools/list_changed", "notifications/resources/updated"])
    client.setNotificationHandler(method, () => { news.push(`${name} ${method}`); heard?.(); });
const listeners = [await one.listen({ toolsListChanged: true }), await two.listen({ resourceSubscriptions: ["file:///a"] })];
await call(driver, "news", { method: "notifications/tools/list_changed" });
await call(driver, "news", { method: "notifications/resources/updated", uri: "file:///a" });
while (news.length < 2) await new Promise((resolve) => { heard = resolve; });
seen.news = news.sort();
for (const listener of listeners) await listener.close();
await until(driver, "listening", (filters) => filters.length === 0);

// A call that is given up is cancelled, and no other.
const abort = new AbortController();
const kept = call(one, "hold", { name: "kept" });
const gone = call(two, "hold", { name: "gone" }, { signal: abort.signal }).catch(() => "gave up");
await until(driver, "holding", (names) => names.length === 2);
const before = (await call(driver, "cancelled")).length;
abort.abort();
seen.gone = await gone;
await until(driver, "cancelled", (ids) => ids.length === before + 1);
await call(driver, "release", { name: "kept", value: "kept" });
seen.kept = await kept;
console.log(JSON.stringify(seen));
process.exit(0);
