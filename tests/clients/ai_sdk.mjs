// npm @ai-sdk/openai-compatible against a service: ai_sdk.mjs URL KEY
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embed, embedMany, generateText, streamText } from "ai";
import { check, failure, finish } from "./check.mjs";

const [url, apiKey] = process.argv.slice(2);
const provider = createOpenAICompatible({ name: "pith", baseURL: `${url}/v1`, apiKey,
  includeUsage: true });

async function text() {
  const answer = await generateText({ model: provider("chat"), system: "Speak of foxes.",
    prompt: "Tell me a tale.", maxOutputTokens: 10, temperature: 0, seed: 3, maxRetries: 0 });
  check("generateText", answer.text !== "" && ["stop", "length"].includes(answer.finishReason),
    [answer.text, answer.finishReason]);
  check("usage", answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0 &&
    answer.usage.outputTokens <= 10, answer.usage);

  const stream = streamText({ model: provider("chat"), system: "Speak of foxes.",
    prompt: "Tell me a tale.", maxOutputTokens: 10, temperature: 0, seed: 3, maxRetries: 0 });
  let streamed = "";
  for await (const part of stream.textStream) streamed += part;
  check("streamText says the same", streamed === answer.text, [streamed, answer.text]);
  const usage = await stream.usage;
  check("usage of a stream", usage.outputTokens === answer.usage.outputTokens,
    [usage, answer.usage]);

  const turns = await generateText({ model: provider("chat"), maxOutputTokens: 5, temperature: 0,
    messages: [{ role: "user", content: "Who are you?" }, { role: "assistant", content: "A fox." },
      { role: "user", content: [{ type: "text", text: "And I?" }] }], maxRetries: 0,
    stopSequences: ["zzz"], topP: 0.9, presencePenalty: 0.1, frequencyPenalty: 0.1 });
  check("a conversation", turns.text !== "", turns.text);

  const completion = await generateText({ model: provider.completionModel("chat"),
    prompt: "Once upon a time", maxOutputTokens: 5, temperature: 0, maxRetries: 0 });
  check("completionModel", completion.text !== "", completion.text);
}

async function embeddings() {
  const model = provider.textEmbeddingModel("minilm");
  const { embeddings: vectors, usage } = await embedMany({ model, maxRetries: 0,
    values: ["a stone", "a rock", "a cloud"] });
  check("embedMany", vectors.length === 3 && vectors.every((v) => v.length === vectors[0].length));
  check("usage of embeddings", usage.tokens > 0, usage);
  const { embedding } = await embed({ model, value: "a rock", maxRetries: 0 });
  check("embed alone", embedding.every((x, i) => x === vectors[1][i]));
}

async function errors() {
  const unknown = await failure(generateText({ model: provider("gpt-9"), prompt: "x", maxRetries: 0 }));
  check("an unknown model", unknown?.statusCode === 404 && unknown.message.includes("gpt-9"),
    unknown?.message);
  const schema = await failure(generateText({ model: provider("chat"), prompt: "x", maxRetries: 0,
    providerOptions: { pith: { response_format: { type: "xml" } } } }));
  check("an unknown response_format is refused by name", schema?.statusCode === 400 &&
    schema.message.includes("response_format"), schema?.message);
  const controller = new AbortController();
  const stream = streamText({ model: provider("chat"), prompt: "x", maxOutputTokens: 400,
    temperature: 0, abortSignal: controller.signal, maxRetries: 0, onError: () => {} });
  let n = 0;
  try {
    for await (const _ of stream.textStream) if (++n === 2) controller.abort();
  } catch (error) { // by when the abort comes, the loop ends or throws
    if (error.name !== "AbortError") throw error;
  }
  check("an aborted stream ends", n >= 2, n);
}

for (const part of [text, embeddings, errors]) await part();
finish();
