// The tools that need something of the client. Each is written for 2026-07-28 (a result that asks, then
// the same call again with the answers); for older clients the SDK turns the questions into requests.
import {
  CLIENT_CAPABILITIES_META_KEY, acceptedContent, inputRequired, inputResponse,
} from "@modelcontextprotocol/server";
import { z } from "zod";

import { says } from "./content.mjs";

const object = (properties, required = Object.keys(properties)) => ({ type: "object", properties, required });
const elicit = (message, requestedSchema) => inputRequired.elicit({ message, requestedSchema });
const sample = (words, maxTokens = 100) =>
  inputRequired.createMessage({ messages: [{ role: "user", content: { type: "text", text: words } }], maxTokens });

const NAME = elicit("What is your name?", object({ name: { type: "string" } }));
const CONFIRM = elicit("Please confirm", object({ ok: { type: "boolean" } }));

const DEFAULTS = elicit("Please review the defaults", object({
  name: { type: "string", description: "Name", default: "John Doe" },
  age: { type: "integer", description: "Age", default: 30 },
  score: { type: "number", description: "Score", default: 95.5 },
  status: { type: "string", description: "Status", enum: ["active", "inactive", "pending"], default: "active" },
  verified: { type: "boolean", description: "Verified", default: true },
}, []));

const choices = (key, titles) => titles.map((title, i) => ({ const: `${key}${i + 1}`, title }));
const ENUMS = elicit("Please choose", object({
  untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
  titledSingle: { type: "string", oneOf: choices("value", ["First Option", "Second Option", "Third Option"]) },
  legacyEnum: {
    type: "string", enum: ["opt1", "opt2", "opt3"], enumNames: ["Option One", "Option Two", "Option Three"],
  },
  untitledMulti: { type: "array", items: { type: "string", enum: ["option1", "option2", "option3"] } },
  titledMulti: { type: "array", items: { anyOf: choices("value", ["First Choice", "Second Choice", "Third Choice"]) } },
}, []));

// A tool that asks one question and says what came back: ask(arguments) → request, say(view) → text or nothing.
const once = (key, ask, say) => (given, context) => {
  const view = inputResponse(context.mcpReq.inputResponses, key);
  const words = view.kind === "missing" ? undefined : say(view, context);
  return words === undefined ? inputRequired({ inputRequests: { [key]: ask(given) } }) : says(words);
};

const elicited = (before) => ({ kind, action, content }) =>
  kind === "elicit" ? `${before}action=${action}, content=${JSON.stringify(content ?? {})}` : undefined;
const sampled = (before) => ({ kind, result }) => (kind === "sampling" ? `${before}${result.content.text}` : undefined);

// A tool that asks some things at once under a signed state, and ends when all are answered under one.
function statefully(codec, asks, finish) {
  return async (_, context) => {
    const { inputResponses, requestState } = context.mcpReq;
    const state = requestState();
    const answered = Object.keys(asks).every((key) => inputResponse(inputResponses, key).kind !== "missing");
    if (state === undefined || !answered) {
      return inputRequired({ inputRequests: asks, requestState: await codec.mint({ round: 1 }) });
    }
    return says(finish(inputResponses, state));
  };
}

function twoSteps(codec) {
  const step1 = elicit("Step 1: What is your name?", object({ name: { type: "string" } }));
  const step2 = elicit("Step 2: What is your favorite color?", object({ color: { type: "string" } }));

  return async (_, context) => {
    const state = context.mcpReq.requestState();
    const one = acceptedContent(context.mcpReq.inputResponses, "step1");
    const two = acceptedContent(context.mcpReq.inputResponses, "step2");
    if (state?.round === 2 && two) return says(`${state.name} likes ${two.color}`);
    if (state?.round === 1 && one) {
      return inputRequired({ inputRequests: { step2 }, requestState: await codec.mint({ round: 2, name: one.name }) });
    }
    return inputRequired({ inputRequests: { step1 }, requestState: await codec.mint({ round: 1 }) });
  };
}

// Asks for no more than the client says that it can do.
function asCapable(server) {
  return async (_, context) => {
    const can = context.mcpReq.envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? server.server.getClientCapabilities() ?? {};
    if (context.mcpReq.inputResponses) return says("Thank you");
    const inputRequests = {
      ...(can.sampling && { capital_question: sample("What is the capital of France?") }),
      ...(can.elicitation && { user_name: NAME }),
      ...(can.roots && { client_roots: inputRequired.listRoots() }),
    };
    return Object.keys(inputRequests).length > 0 ? inputRequired({ inputRequests }) : says("Nothing to ask with");
  };
}

export function registerInputTools(server, codec) {
  const confirmed = statefully(codec, { confirm: CONFIRM }, () => "state-ok");
  const three = {
    user_name: NAME, greeting: sample("Generate a greeting", 50), client_roots: inputRequired.listRoots(),
  };
  const hello = ({ kind, content }) =>
    kind === "elicit" && typeof content?.name === "string" ? `Hello, ${content.name}!` : undefined;
  const roots = (view) =>
    view.kind === "roots" ? `Roots: ${view.roots.map((root) => root.uri).join(", ")}` : undefined;
  const nothing = z.object({});
  const tools = [
    ["test_sampling", "Asks the client's model", z.object({ prompt: z.string() }),
      once("answer", ({ prompt }) => sample(prompt), sampled("LLM response: "))],
    ["test_elicitation", "Asks the user", z.object({ message: z.string() }),
      once("response", ({ message }) => elicit(message, object({
        username: { type: "string", description: "User's response" },
        email: { type: "string", description: "User's email address" },
      })), elicited("User response: "))],
    ["test_elicitation_sep1034_defaults", "Asks with defaults", nothing,
      once("defaults", () => DEFAULTS, elicited("Elicitation completed: "))],
    ["test_elicitation_sep1330_enums", "Asks with choices", nothing,
      once("choices", () => ENUMS, elicited("Elicitation completed: "))],
    ["test_streaming_elicitation", "Reports, then asks the user", nothing, streamed],
    ["test_missing_capability", "Needs sampling", nothing,
      once("answer", () => sample("Are you there?"), sampled("LLM response: "))],
    ["test_input_required_result_elicitation", "Asks for a name", nothing, once("user_name", () => NAME, hello)],
    ["test_input_required_result_sampling", "Asks for a capital", nothing,
      once("capital_question", () => sample("What is the capital of France?"), sampled("The answer: "))],
    ["test_input_required_result_list_roots", "Asks for roots", nothing,
      once("client_roots", () => inputRequired.listRoots(), roots)],
    ["test_input_required_result_request_state", "Asks with state", nothing, confirmed],
    ["test_input_required_result_tampered_state", "Asks with state", nothing, confirmed],
    ["test_input_required_result_multiple_inputs", "Asks three things", nothing,
      statefully(codec, three, (answers) => `Thank you, ${acceptedContent(answers, "user_name")?.name}`)],
    ["test_input_required_result_multi_round", "Asks twice", nothing, twoSteps(codec)],
    ["test_input_required_result_capabilities", "Asks what the client can answer", nothing, asCapable(server)],
  ];
  for (const [name, description, inputSchema, call] of tools) {
    server.registerTool(name, { description, inputSchema }, call);
  }
}

async function streamed(given, context) {
  const { progressToken } = context.mcpReq._meta ?? {};
  if (progressToken !== undefined) {
    await context.mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress: 1, total: 2 } });
  }
  return once("user_name", () => NAME, elicited("User response: "))(given, context);
}
