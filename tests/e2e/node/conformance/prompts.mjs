// The prompts: plain, with arguments that complete, with a resource, with an image, and one that asks.
import { acceptedContent, completable, inputRequired } from "@modelcontextprotocol/server";
import { z } from "zod";

import { image, resource, text } from "./content.mjs";

const CITIES = ["paris", "park", "party", "test"];

const said = (...contents) => ({ messages: contents.map((content) => ({ role: "user", content })) });
const argument = () => completable(z.string(), (start) => CITIES.filter((city) => city.startsWith(start)));

function askForContext(context) {
  const given = acceptedContent(context.mcpReq.inputResponses, "user_context");
  if (given) return said(text(`Context: ${given.context}`));
  return inputRequired({
    inputRequests: {
      user_context: inputRequired.elicit({
        message: "What context should the prompt use?",
        requestedSchema: { type: "object", properties: { context: { type: "string" } }, required: ["context"] },
      }),
    },
  });
}

export function registerPrompts(server) {
  server.registerPrompt("test_simple_prompt", { description: "A plain prompt" },
    () => said(text("This is a simple prompt for testing.")));
  server.registerPrompt("test_prompt_with_arguments",
    { description: "A prompt with arguments", argsSchema: z.object({ arg1: argument(), arg2: argument() }) },
    ({ arg1, arg2 }) => said(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)));
  server.registerPrompt("test_prompt_with_embedded_resource",
    { description: "A prompt with a resource", argsSchema: z.object({ resourceUri: z.string() }) },
    ({ resourceUri }) => said(resource(resourceUri, "text/plain", "Embedded resource content for testing."),
      text("Please process the embedded resource above.")));
  server.registerPrompt("test_prompt_with_image", { description: "A prompt with an image" },
    () => said(image, text("Please analyze the image above.")));
  server.registerPrompt("test_input_required_result_prompt", { description: "A prompt that asks" }, askForContext);
}
