// npm openai against a service: openai.mjs URL KEY
import OpenAI from "openai";
import { check, failure, finish } from "./check.mjs";

const [url, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const messages = [
  { role: "developer", content: "Speak of foxes." },
  { role: "user", content: [{ type: "text", text: "Tell me " }, { type: "text", text: "a tale." }] },
];

async function models() {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  check("models are listed", ids.includes("chat") && ids.includes("minilm"), ids);
  check("an alias is listed", ids.includes("llama2-chat"), ids);
  const model = await client.models.retrieve("chat");
  check("a model is found", model.id === "chat" && model.object === "model", model);
}

async function chat() {
  const { data, response, request_id } = await client.chat.completions
    .create({ model: "llama2-chat", messages, max_tokens: 12, temperature: 0, seed: 3 })
    .withResponse();
  check("x-request-id", typeof request_id === "string" && request_id !== "", request_id);
  check("the type is JSON", response.headers.get("content-type").startsWith("application/json"));
  const choice = data.choices[0];
  check("object", data.object === "chat.completion" && data.id.startsWith("chatcmpl-"), data);
  check("model as it was asked for", data.model === "llama2-chat", data.model);
  check("an answer", choice.message.role === "assistant" && choice.message.content !== "", data);
  check("refusal is null", choice.message.refusal === null, choice);
  check("finish_reason", ["stop", "length"].includes(choice.finish_reason), choice);
  const { usage } = data;
  check("usage adds up", usage.total_tokens === usage.prompt_tokens + usage.completion_tokens &&
    usage.completion_tokens <= 12, usage);

  const stream = await client.chat.completions.create({
    model: "llama2-chat", messages, max_completion_tokens: 12, temperature: 0, stream: true,
    stream_options: { include_usage: true }, stop: null, user: "u1",
  });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const text = chunks.map((c) => c.choices[0]?.delta?.content ?? "").join("");
  check("the stream says what the answer says", text === choice.message.content,
    [text, choice.message.content]);
  check("the first delta is empty", chunks[0].choices[0].delta.content === "" &&
    chunks[0].choices[0].delta.role === "assistant", chunks[0]);
  check("the last choice ends", chunks.at(-2).choices[0].finish_reason === choice.finish_reason,
    chunks.at(-2));
  check("usage comes last", chunks.at(-1).choices.length === 0 &&
    chunks.at(-1).usage.completion_tokens === usage.completion_tokens, chunks.at(-1));
  check("one id for all", new Set(chunks.map((c) => c.id)).size === 1, chunks.map((c) => c.id));

  const runner = client.chat.completions.stream({ model: "chat", messages, max_tokens: 8, seed: 1 });
  const final = await runner.finalChatCompletion();
  check("the stream helper puts it together", typeof final.choices[0].message.content === "string");

  const many = await client.chat.completions.create(
    { model: "chat", messages, max_tokens: 8, n: 3, temperature: 1, seed: 5 });
  check("three choices", many.choices.length === 3 &&
    many.choices.map((c) => c.index).join() === "0,1,2", many.choices);

  const scored = await client.chat.completions.create(
    { model: "chat", messages, max_tokens: 4, temperature: 0, logprobs: true, top_logprobs: 2 });
  const { content } = scored.choices[0].logprobs;
  check("log-probabilities", content.length === scored.usage.completion_tokens &&
    content.every((t) => t.logprob <= 0 && t.top_logprobs.length === 2 && Array.isArray(t.bytes) &&
      t.top_logprobs[0].logprob >= t.top_logprobs[1].logprob), content);

  const forced = await client.chat.completions.create(
    { model: "chat", messages, max_tokens: 3, logit_bias: { 300: 100 }, temperature: 0,
      logprobs: true });
  check("logit_bias forces a token", new Set(
    forced.choices[0].logprobs.content.map((t) => t.token)).size === 1, forced.choices[0].logprobs);
}

async function leave() {
  const stream = await client.chat.completions.create(
    { model: "chat", messages, stream: true, max_tokens: 400 });
  let n = 0;
  for await (const _ of stream) if (++n === 3) break;
  check("leaving a stream is no error", n === 3);
}

async function completions() {
  const answer = await client.completions.create(
    { model: "chat", prompt: ["Once upon a time", "The old king"], max_tokens: 5, temperature: 0 });
  check("a choice a prompt", answer.choices.length === 2 && answer.object === "text_completion",
    answer);
  const again = await client.completions.create(
    { model: "chat", prompt: "The old king", max_tokens: 5, temperature: 0 });
  check("the company of others changes nothing", again.choices[0].text === answer.choices[1].text);
  let text = "";
  for await (const chunk of await client.completions.create(
    { model: "chat", prompt: "The old king", max_tokens: 5, temperature: 0, stream: true })) {
    text += chunk.choices[0].text;
  }
  check("the stream says so too", text === again.choices[0].text, [text, again.choices[0].text]);
  const stopped = await client.completions.create(
    { model: "chat", prompt: "Once", max_tokens: 60, temperature: 0, stop: ["a"] });
  check("stop", stopped.choices[0].finish_reason === "stop" &&
    !stopped.choices[0].text.includes("a"), stopped.choices[0]);
}

async function embeddings() {
  const input = ["a stone", "a rock", "Grüße 🦊"];
  // Without encoding_format the client asks for base64 and decodes it itself.
  const coded = await client.embeddings.create({ model: "minilm", input });
  const plain = await client.embeddings.create({ model: "minilm", input, encoding_format: "float" });
  check("three vectors", coded.data.length === 3 && plain.data.length === 3);
  check("base64 and float agree", coded.data.every((d, i) => d.index === i &&
    d.embedding.every((x, j) => Math.abs(x - plain.data[i].embedding[j]) < 1e-6)));
  check("usage", coded.usage.prompt_tokens > 0 &&
    coded.usage.total_tokens === coded.usage.prompt_tokens, coded.usage);
  const short = await client.embeddings.create({ model: "minilm", input: "a stone", dimensions: 16 });
  const norm = short.data[0].embedding.reduce((sum, x) => sum + x * x, 0);
  check("dimensions", short.data[0].embedding.length === 16 && Math.abs(norm - 1) < 1e-4, norm);
  const ids = await failure(client.embeddings.create({ model: "minilm", input: [[1, 2, 3]] }));
  check("token ids are refused, naming the client's option", ids?.status === 400 &&
    ids.message.includes("check_embedding_ctx_length"), ids?.message);
}

async function errors() {
  const unknown = await failure(client.chat.completions.create({ model: "gpt-9", messages }));
  check("model_not_found", unknown instanceof OpenAI.NotFoundError &&
    unknown.code === "model_not_found", unknown?.error);
  const long = await failure(client.chat.completions.create(
    { model: "chat", messages: [{ role: "user", content: "word ".repeat(2000) }] }));
  check("context_length_exceeded", long instanceof OpenAI.BadRequestError &&
    long.code === "context_length_exceeded", long?.error);
  const negative = await failure(client.chat.completions.create(
    { model: "chat", messages, max_tokens: -2 }));
  check("the parameter is named", negative?.status === 400 && negative.param === "max_tokens",
    negative?.error);
  const unsupported = await failure(client.chat.completions.create(
    { model: "chat", messages, tools: [{ type: "function", function: { name: "f" } }] }));
  check("what is not done is refused by name", unsupported?.status === 400 &&
    unsupported.param === "tools" && unsupported.code === "tools_unsupported", unsupported?.error);
  const wrong = await failure(new OpenAI({ baseURL: `${url}/v1`, apiKey: "wrong", maxRetries: 0 })
    .models.list());
  check("a wrong key", wrong instanceof OpenAI.AuthenticationError, wrong?.status);
  const encoder = await failure(client.chat.completions.create({ model: "minilm", messages }));
  check("an encoder does not chat", encoder?.status === 400, encoder?.error);
  const beyond = await client.chat.completions.create(
    { model: "chat", messages, max_tokens: 100000, temperature: 0 });
  check("max_tokens beyond the room ends as length or stop",
    ["length", "stop"].includes(beyond.choices[0].finish_reason), beyond.choices[0].finish_reason);
}

for (const part of [models, chat, leave, completions, embeddings, errors]) await part();
finish();
