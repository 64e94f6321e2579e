// One client of the matrix (test_matrix.py) on an official TypeScript SDK.
//
//   node matrix.mjs sdk|client MODE URL PLAN
//
// "sdk" is @modelcontextprotocol/sdk 1.x, "client" is @modelcontextprotocol/client 2.x. MODE, PLAN and what is printed
// are those of clients/matrix.py.
const [, , which, mode, url, planText] = process.argv;
const plan = JSON.parse(planText);
const LATEST = "2026-07-28";

const info = { name: "matrix", version: "1.0.0" };
const capabilities = { sampling: {} };
const sample = async ({ params }) => {
  const { content } = params.messages[0];
  const words = (Array.isArray(content) ? content[0] : content).text;
  return { model: "test", role: "assistant", content: { type: "text", text: `sampled ${words}` } };
};

async function open2() {
  const m = await import("@modelcontextprotocol/client");
  const modes = { legacy: "legacy", auto: "auto", modern: { pin: LATEST } };
  const options = {
    capabilities,
    ...(modes[mode] && { versionNegotiation: { mode: modes[mode] } }),
    ...(/^\d/.test(mode) && { supportedProtocolVersions: [mode] }),
  };
  const client = new m.Client(info, options);
  client.setRequestHandler("sampling/createMessage", sample);
  const Transport = mode === "sse" ? m.SSEClientTransport : m.StreamableHTTPClientTransport;
  await client.connect(new Transport(new URL(url)));
  return { client, revision: client.getNegotiatedProtocolVersion(), call: (c, options) => client.callTool(c, options) };
}

async function open1() {
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const { CreateMessageRequestSchema } = await import("@modelcontextprotocol/sdk/types.js");
  const { SSEClientTransport } = await import("@modelcontextprotocol/sdk/client/sse.js");
  const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const client = new Client(info, { capabilities });
  client.setRequestHandler(CreateMessageRequestSchema, sample);
  const transport = new (mode === "sse" ? SSEClientTransport : StreamableHTTPClientTransport)(new URL(url));

  // This SDK always asks for its latest revision, and tells the transport alone what it got.
  const send = transport.send.bind(transport);
  transport.send = (message, options) => {
    if (message.method === "initialize" && /^\d/.test(mode)) message.params.protocolVersion = mode;
    return send(message, options);
  };
  let revision;
  const tell = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (version) => { revision = version; tell?.(version); };
  await client.connect(transport);
  return { client, revision, call: (c, options) => client.callTool(c, undefined, options) };
}

try {
  const { client, revision, call } = await (which === "sdk" ? open1() : open2());
  const said = async (what, options) => (await call(plan[what], options)).content[0].text;
  const progress = [];
  const report = {
    revision,
    tools: (await client.listTools()).tools.length >= plan.tools,
    echo: await said("echo"),
    progress: (await said("progress", { onprogress: (p) => progress.push(p.progress) })) && progress,
    sampling: await said("sampling"),
  };
  await client.transport.terminateSession?.();
  await client.close();
  console.log(JSON.stringify(report));
} catch (error) {
  console.log(JSON.stringify({ error: String(error) }));
}
process.exit(0);
