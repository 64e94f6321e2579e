// Drives @modelcontextprotocol/server-everything through one address with an official TypeScript
// client and prints what a user would have seen, as one JSON object.
//
//   node everything.mjs sdk|sdk-sse|client URL [LABEL]
//
// "sdk-sse" speaks the HTTP+SSE transport of 2024-11-05. "sdk" is @modelcontextprotocol/sdk 1.x, "client" is @modelcontextprotocol/client 2.x.
const [, , which, url, label = "one"] = process.argv;

async function load() {
  if (which === "client") {
    const m = await import("@modelcontextprotocol/client");
    // 2.x registers handlers by method name, 1.x by schema.
    return { Client: m.Client, Transport: m.StreamableHTTPClientTransport, on: (c, method, f) => c.setRequestHandler(method, f),
             onNotification: (c, method, f) => c.setNotificationHandler(method, f) };
  }
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const { SSEClientTransport } = await import("@modelcontextprotocol/sdk/client/sse.js");
  const types = await import("@modelcontextprotocol/sdk/types.js");
  const schemas = {
    "sampling/createMessage": types.CreateMessageRequestSchema,
    "elicitation/create": types.ElicitRequestSchema,
    "roots/list": types.ListRootsRequestSchema,
    "notifications/tools/list_changed": types.ToolListChangedNotificationSchema,
    "notifications/message": types.LoggingMessageNotificationSchema,
  };
  const set = (name) => (c, method, f) => c[name](schemas[method], f);
  return { Client, Transport: which === "sdk-sse" ? SSEClientTransport : StreamableHTTPClientTransport, on: set("setRequestHandler"), onNotification: set("setNotificationHandler") };
}

const text = (result) => result.content?.find((c) => c.type === "text")?.text ?? "";

const { Client, Transport, on, onNotification } = await load();
const client = new Client({ name: `everything-${label}`, version: "1.0.0" },
                          { capabilities: { sampling: {}, elicitation: { form: {} }, roots: { listChanged: true } } });
const report = { notifications: [] };

on(client, "sampling/createMessage", async (request) => {
  report.sampled = request.params.messages.length;
  return { model: "test", role: "assistant", content: { type: "text", text: `sampled by ${label}` } };
});
on(client, "elicitation/create", async () => {
  report.elicited = (report.elicited ?? 0) + 1;
  return { action: "decline" };
});
on(client, "roots/list", async () => ({ roots: [{ uri: `file:///${label}`, name: label }] }));
onNotification(client, "notifications/message", (n) => report.notifications.push(n.params.level));

const transport = new Transport(new URL(url));
await client.connect(transport);
report.session = transport.sessionId;
report.server = client.getServerVersion().name;
report.tools = (await client.listTools()).tools.map((t) => t.name);
report.echo = text(await client.callTool({ name: "echo", arguments: { message: `hällo ${label} ✓` } }));
report.sum = text(await client.callTool({ name: "get-sum", arguments: { a: 2, b: 40 } }));
report.env = JSON.parse(text(await client.callTool({ name: "get-env", arguments: {} })));
report.env = Object.fromEntries(Object.entries(report.env).filter(([k]) => k.startsWith("ENVMUX_")));
report.image = (await client.callTool({ name: "get-tiny-image", arguments: {} })).content.some((c) => c.type === "image");
report.structured = (await client.callTool({ name: "get-structured-content", arguments: { location: "Chicago" } })).structuredContent;
report.resources = (await client.listResources()).resources.length;
report.prompts = (await client.listPrompts()).prompts.map((p) => p.name);

// Two long calls at once: each progress report must reach its own call.
const progress = { a: [], b: [] };
const long = (key, steps) => {
  const call = { name: "trigger-long-running-operation", arguments: { duration: 0.4, steps } };
  const options = { onprogress: (p) => progress[key].push(p.total) };
  return which === "client" ? client.callTool(call, options) : client.callTool(call, undefined, options);
};
await Promise.all([long("a", 3), long("b", 4)]);
report.progress = progress;

report.sampling = text(await client.callTool({ name: "trigger-sampling-request", arguments: { prompt: "hi", maxTokens: 10 } }));
try {
  await client.callTool({ name: "no-such-tool", arguments: {} }).then((r) => { report.unknownTool = r.isError === true; });
} catch (e) {
  report.unknownTool = e.code;
}
if (report.tools.includes("trigger-elicitation-request"))
  await client.callTool({ name: "trigger-elicitation-request", arguments: {} });
await transport.terminateSession?.(); // the older transport ends with its stream
await client.close();
console.log(JSON.stringify(report));
process.exit(0);
