// The tools that answer without asking the client anything.
import { setTimeout as sleep } from "node:timers/promises";

import { fromJsonSchema } from "@modelcontextprotocol/server";

import { audio, image, resource, says, text } from "./content.mjs";

const STEP_MS = 50;

const everyKeyword = fromJsonSchema({
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
});

const inHeaders = fromJsonSchema({
  type: "object",
  properties: {
    region: { type: "string", description: "Mirrored in a header", "x-mcp-header": "Region" },
    query: { type: "string" },
  },
  required: ["region"],
});

async function reportProgress(context) {
  const { progressToken } = context.mcpReq._meta ?? {};
  for (const progress of [0, 50, 100]) {
    if (progressToken !== undefined) {
      const params = { progressToken, progress, total: 100 };
      await context.mcpReq.notify({ method: "notifications/progress", params });
    }
    await sleep(STEP_MS);
  }
  return says("Progress reported");
}

async function logThrice(context) {
  for (const words of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
    await context.mcpReq.log("info", words);
    await sleep(STEP_MS);
  }
  return says("Logged three times");
}

// Over stdio there is no stream of ours to close: whoever serves it over HTTP decides.
async function answerLate(context) {
  context.http?.closeSSE?.();
  await sleep(20 * STEP_MS);
  return says("Answered after the stream was closed");
}

function registerContentTools(server) {
  const answers = {
    test_simple_text: ["Returns a text", says("This is a simple text response for testing.")],
    test_image_content: ["Returns an image", { content: [image] }],
    test_audio_content: ["Returns a sound", { content: [audio] }],
    test_embedded_resource: [
      "Returns a resource",
      { content: [resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")] },
    ],
    test_multiple_content_types: [
      "Returns a text, an image and a resource",
      {
        content: [
          text("Multiple content types test:"),
          image,
          resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
        ],
      },
    ],
  };
  for (const [name, [description, result]] of Object.entries(answers)) {
    server.registerTool(name, { description }, async () => result);
  }
}

// Which process answers, and what it was told: for tests that ask who serves them.
const identity = (era) => () =>
  says(JSON.stringify({ pid: process.pid, session: process.env.ENVMUX_SESSION ?? null, era }));

export function registerTools(server, era, change) {
  registerContentTools(server);
  const tools = {
    test_error_handling: ["Always fails", async () => {
      throw new Error("This tool intentionally returns an error for testing");
    }],
    test_tool_with_logging: ["Logs three times", logThrice],
    test_logging_tool: ["Logs three times", logThrice],
    test_tool_with_progress: ["Reports progress three times", reportProgress],
    test_reconnection: ["Closes its stream before it answers", answerLate],
    test_trigger_tool_change: ["Says that the list of tools changed", async () => {
      change.toolsChanged();
      return says("The list of tools changed");
    }],
    test_trigger_prompt_change: ["Says that the list of prompts changed", async () => {
      change.promptsChanged();
      return says("The list of prompts changed");
    }],
    test_trigger_resource_update: ["Says that test://watched-resource changed", async () => {
      change.resourceUpdated("test://watched-resource");
      return says("The resource changed");
    }],
    test_identity: ["Returns who answers", identity(era)],
  };
  for (const [name, [description, call]] of Object.entries(tools)) server.registerTool(name, { description }, call);
  server.registerTool("json_schema_2020_12_tool",
    { description: "Tool with JSON Schema 2020-12 features", inputSchema: everyKeyword },
    async (given) => says(JSON.stringify(given)));
  server.registerTool("test_x_mcp_header", { description: "Takes an argument from a header", inputSchema: inHeaders },
    async ({ region }) => says(`region ${region}`));
}
