// The tools of the tasks extension (2026-07-28): calls that go on after they were answered.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import {
  CLIENT_CAPABILITIES_META_KEY, MissingRequiredClientCapabilityError, ProtocolError, ProtocolErrorCode, acceptedContent,
  inputRequired,
} from "@modelcontextprotocol/server";
import { z } from "zod";

import { says } from "./content.mjs";

export const TASKS_EXTENSION = "io.modelcontextprotocol/tasks";

const TTL_MS = 60_000;
const POLL_MS = 100;
const END = new Set(["completed", "cancelled", "failed"]);

const tasks = new Map(); // by id; those of every server of this process, which may be one per request

class Task {
  #answer;

  constructor(run) {
    this.abort = new AbortController();
    this.shown = {
      taskId: randomUUID(),
      status: "working",
      createdAt: new Date().toISOString(),
      ttlMs: TTL_MS,
      pollIntervalMs: POLL_MS,
    };
    this.#change({});
    tasks.set(this.shown.taskId, this);
    setTimeout(() => tasks.delete(this.shown.taskId), TTL_MS).unref();
    run(this).then(
      (result) => this.#change({ status: "completed", result }),
      ({ code = ProtocolErrorCode.InternalError, message }) =>
        this.#change({ status: "failed", error: { code, message } }),
    );
  }

  #change(fields) {
    if (END.has(this.shown.status)) return;
    this.shown = { ...this.shown, ...fields, lastUpdatedAt: new Date().toISOString() };
  }

  // Waits until the client has answered every one of these requests; resolves to the answers by key.
  async ask(inputRequests) {
    const answers = {};
    this.#change({ status: "input_required", inputRequests });
    await new Promise((resolve) => {
      this.#answer = (given) => {
        const open = { ...this.shown.inputRequests };
        for (const key of Object.keys(given).filter((key) => key in open)) {
          answers[key] = given[key];
          delete open[key];
        }
        this.#change({ inputRequests: open });
        if (Object.keys(open).length === 0) resolve();
      };
    });
    this.#change({ status: "working", inputRequests: undefined });
    return answers;
  }

  update(given) {
    this.#answer?.(given);
  }

  cancel() {
    this.#change({ status: "cancelled", inputRequests: undefined });
    this.abort.abort();
  }
}

// ---- who may have tasks -------------------------------------------------------------------------

const canHaveTasks = (context) =>
  Boolean(context.mcpReq.envelope?.[CLIENT_CAPABILITIES_META_KEY]?.extensions?.[TASKS_EXTENSION]);

// Thrown by a method, this is -32021; what a tool throws becomes a result with isError, whatever it is.
function needTasks(context) {
  if (canHaveTasks(context)) return;
  throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } } });
}

const begin = (run) => ({ resultType: "task", content: [], ...new Task(run).shown });

// ---- what they do -------------------------------------------------------------------------------

const compute = ({ seconds, label }) => async ({ abort }) => {
  await sleep(seconds * 1000, undefined, { signal: abort.signal });
  return says(`Computed ${label ?? ""} in ${seconds} s`);
};

const failing = async () => {
  await sleep(POLL_MS);
  return { ...says("This job always fails"), isError: true };
};

const breaking = async () => {
  throw new ProtocolError(ProtocolErrorCode.InternalError, "This job breaks the protocol");
};

const question = (message, key) => inputRequired.elicit({
  message, requestedSchema: { type: "object", properties: { [key]: { type: "string" } }, required: [key] },
});

const asking = (inputRequests) => async (task) => {
  const answers = await task.ask(inputRequests);
  return says(`Answered: ${JSON.stringify(answers)}`);
};

// First asked like any other tool, then a task.
function askThenBegin(_, context) {
  needTasks(context);
  const given = acceptedContent(context.mcpReq.inputResponses, "user_name");
  if (!given) return inputRequired({ inputRequests: { user_name: question("What is your name?", "name") } });
  return begin(async () => says(`Hello, ${given.name}!`));
}

export function registerTasks(server) {
  const nothing = z.object({});
  const required = (run) => (given, context) => {
    needTasks(context);
    return begin(run);
  };
  const tools = [
    ["greet", "Greets at once", z.object({ name: z.string() }), async ({ name }) => says(`Hello, ${name}!`)],
    ["slow_compute", "Takes its time", z.object({ seconds: z.number(), label: z.string().optional() }),
      (given, context) => {
        const run = compute(given);
        return canHaveTasks(context) ? begin(run) : run({ abort: new AbortController() });
      }],
    ["failing_job", "Ends with an error of the tool", nothing, required(failing)],
    ["protocol_error_job", "Ends with an error of the protocol", nothing, required(breaking)],
    ["confirm_delete", "Asks before it goes on", z.object({ filename: z.string().optional() }),
      required(asking({ confirm: question("Really?", "confirm") }))],
    ["multi_input", "Asks two things before it goes on", nothing,
      required(asking({ one: question("One?", "one"), two: question("Two?", "two") }))],
    ["test_tool_with_task", "Asks, then goes on as a task", nothing, askThenBegin],
  ];
  for (const [name, description, inputSchema, call] of tools) {
    server.registerTool(name, { description, inputSchema }, call);
  }
  registerMethods(server.server);
}

function registerMethods(server) {
  const methods = {
    "tasks/get": (task) => task.shown,
    "tasks/update": (task, { inputResponses }) => void task.update(inputResponses ?? {}),
    "tasks/cancel": (task) => void task.cancel(),
  };
  const params = z.looseObject({ taskId: z.string() });
  for (const [name, act] of Object.entries(methods)) {
    server.setRequestHandler(name, { params }, async (given, context) => {
      needTasks(context);
      const task = tasks.get(given.taskId);
      if (!task) throw new ProtocolError(ProtocolErrorCode.InvalidParams, "No such task");
      // What a client answers is lifted out of the parameters.
      return act(task, { inputResponses: given.inputResponses ?? context.mcpReq.inputResponses }) ?? {};
    });
  }
}
