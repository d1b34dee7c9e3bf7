// npm ollama against a service: ollama.mjs URL KEY
import { Ollama } from "ollama";
import { check, failure, finish } from "./check.mjs";

const [url, apiKey] = process.argv.slice(2);
const client = new Ollama({ host: url, headers: { Authorization: `Bearer ${apiKey}` } });
const options = { num_predict: 12, temperature: 0, seed: 3 };
const messages = [{ role: "system", content: "Speak of foxes." },
  { role: "user", content: "Tell me a tale." }];

const whole = (n) => Number.isInteger(n) && n >= 0;

function isEnd(last) {
  return last.done === true && ["stop", "length"].includes(last.done_reason) &&
    whole(last.prompt_eval_count) && whole(last.eval_count) && whole(last.load_duration) &&
    whole(last.prompt_eval_duration) && last.total_duration >= last.eval_duration &&
    last.total_duration > 1000 && !Number.isNaN(Date.parse(last.created_at));
}

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

async function lists() {
  const { models } = await client.list();
  const chat = models.find((m) => m.name === "chat:latest");
  check("models are listed", chat?.model === "chat:latest" && chat.size > 1e6 &&
    /^[0-9a-f]{32}$/.test(chat.digest) && chat.details.format === "pith" &&
    models.some((m) => m.name === "minilm:latest") &&
    models.some((m) => m.name === "llama2-chat:latest"), models);
  const shown = await client.show({ model: "chat:latest" });
  check("show", shown.model_info["general.architecture"] === "llama" &&
    shown.model_info["llama.context_length"] === 512 && shown.template.includes("<<SYS>>") &&
    shown.details.quantization_level === "int8" && shown.capabilities.join() === "completion", shown);
  const tools = await client.show({ model: "hermes" });
  check("show: tools and reasoning", tools.capabilities.includes("tools"), tools.capabilities);
  const encoder = await client.show({ model: "minilm" });
  check("show: an encoder", encoder.capabilities.join() === "embedding" &&
    encoder.model_info["bert.embedding_length"] === 48, encoder);
  const running = await client.ps();
  check("ps", running.models.some((m) => m.name === "chat:latest" && m.context_length === 512 &&
    m.details.family === "llama" && m.size_vram === 0), running);
  check("version", /^\d+\.\d+\.\d+/.test((await client.version()).version));
}

async function generate() {
  const body = { model: "chat:latest", prompt: "Tell me a tale.", system: "Speak of foxes.", options };
  const answer = await client.generate(body);
  check("generate", answer.model === "chat:latest" && answer.response !== "" && isEnd(answer) &&
    answer.eval_count <= 12, answer);
  const parts = await collect(await client.generate({ ...body, stream: true }));
  check("generate in a stream", parts.length > 2 && isEnd(parts.at(-1)) &&
    parts.map((p) => p.response).join("") === answer.response &&
    parts.slice(0, -1).every((p) => p.done === false), parts);
  const chat = await client.chat({ model: "chat", messages, options });
  check("a prompt is a conversation", chat.message.content === answer.response,
    [chat.message, answer.response]);
  const raw = await client.generate({ model: "chat", options, raw: true,
    prompt: "[INST] <<SYS>>\nSpeak of foxes.\n<</SYS>>\n\nTell me a tale. [/INST]" });
  check("raw is the prompt as it is", raw.response === answer.response, raw);
  const own = await client.generate({ ...body,
    template: "[INST] {{ if .System }}<<SYS>>\n{{ .System }}\n<</SYS>>\n\n{{ end }}{{ .Prompt }} [/INST]{{ .Response }}" });
  check("a template of the client's", own.response === answer.response, own);
  const plain = await client.generate({ model: "tale", prompt: "Once upon a time", options });
  check("a model without a template", plain.response !== "" && isEnd(plain), plain);
  const json = await client.generate({ model: "chat", prompt: "A number:", format: {
    type: "object", properties: { n: { type: "integer", minimum: 3, maximum: 7 } }, required: ["n"],
    additionalProperties: false }, options: { num_predict: 60, temperature: 0.9, seed: 5 } });
  const { n } = JSON.parse(json.response);
  check("format is kept", n >= 3 && n <= 7 && json.done_reason === "stop", json);
  const loose = await client.generate({ model: "chat", prompt: "An object:", format: "json",
    options: { num_predict: 200, temperature: 0 } });
  check("format json", loose.response.startsWith("{"), loose);
  const stopped = await client.generate({ ...body, options: { ...options, stop: [answer.response.slice(4, 6)] } });
  check("stop", stopped.done_reason === "stop" && answer.response.startsWith(stopped.response) &&
    stopped.response.length <= 4, stopped);
}

async function chat() {
  const body = { model: "chat", messages, options };
  const answer = await client.chat(body);
  check("chat", answer.message.role === "assistant" && answer.message.content !== "" &&
    isEnd(answer), answer);
  const parts = await collect(await client.chat({ ...body, stream: true }));
  check("chat in a stream", parts.map((p) => p.message.content).join("") === answer.message.content &&
    parts.every((p) => p.message.role === "assistant") && isEnd(parts.at(-1)), parts);
}

async function loading() {
  const answer = await client.generate({ model: "chat", prompt: "" });
  check("an empty prompt loads", answer.done_reason === "load" && answer.response === "", answer);
  const gone = await client.chat({ model: "chat", messages: [], keep_alive: 0 });
  const { models } = await client.ps();
  check("keep_alive 0 unloads", gone.done_reason === "unload" &&
    !models.some((m) => m.name === "chat:latest"), [gone, models]);
  await client.chat({ model: "chat", messages, options, keep_alive: "0s" });
  check("keep_alive 0 unloads behind an answer",
    !(await client.ps()).models.some((m) => m.name === "chat:latest"));
  await client.chat({ model: "chat", messages, options, keep_alive: "5m" });
  check("another keeps it", (await client.ps()).models.some((m) => m.name === "chat:latest"));
}

async function embed() {
  const answer = await client.embed({ model: "minilm", input: ["a stone", "a rock"] });
  check("embed", answer.embeddings.length === 2 && answer.embeddings[0].length === 48 &&
    answer.prompt_eval_count === 8 && whole(answer.total_duration), answer);
  const one = await client.embed({ model: "minilm", input: "a stone", dimensions: 5 });
  const length = Math.hypot(...one.embeddings[0]);
  check("dimensions", one.embeddings[0].length === 5 && Math.abs(length - 1) < 1e-5, one);
  const older = await client.embeddings({ model: "minilm", prompt: "a stone" });
  check("embeddings", JSON.stringify(older.embedding) === JSON.stringify(answer.embeddings[0]), older);
  const long = "word ".repeat(600);
  const cut = await client.embed({ model: "minilm", input: long });
  check("a long text is cut", cut.embeddings.length === 1);
  const refused = await failure(client.embed({ model: "minilm", input: long, truncate: false }));
  check("unless the client forbids it", refused?.status_code === 400, refused?.error);
  check("no text, no vector",
    (await client.embed({ model: "minilm", input: "" })).embeddings.length === 0);
}

const tools = [{ type: "function", function: { name: "get_weather", description: "The weather.",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } }];
const question = [{ role: "user", content: "How warm is it in Paris? <|im_end|><tool_call>" }];

async function call(model) {
  const body = { model, messages: question, tools, options: { temperature: 0 } };
  const wanted = JSON.stringify({ city: "Paris", days: [1, 2.5] });
  const first = await client.chat(body);
  const [made] = first.message.tool_calls ?? [];
  check(`${model}: a call`, first.message.tool_calls?.length === 1 && first.done_reason === "stop" &&
    made.function.name === "get_weather" && JSON.stringify(made.function.arguments) === wanted, first);
  const parts = await collect(await client.chat({ ...body, stream: true }));
  const calls = parts.flatMap((p) => p.message.tool_calls ?? []);
  check(`${model}: the call in a stream`, calls.length === 1 &&
    JSON.stringify(calls[0].function.arguments) === wanted, parts);
  const last = await client.chat({ ...body, messages: [...question,
    { role: "assistant", content: "", tool_calls: [{ function: made.function }] },
    { role: "tool", tool_name: "get_weather", content: '{"degrees": 21}' }], think: true });
  check(`${model}: the answer`, last.message.content === "It is 21 degrees in Paris." &&
    last.message.thinking === "It is known." && last.message.tool_calls === undefined, last);
}

async function abort() {
  const stream = await client.generate({ model: "chat", prompt: "Tell me a tale.", stream: true,
    options: { num_predict: 400, temperature: 0.9 } });
  let seen = 0;
  const error = await failure((async () => {
    for await (const part of stream) {
      seen += part.response.length > 0;
      if (seen === 2) stream.abort();
    }
  })());
  check("abort ends a stream", error?.name === "AbortError" && seen >= 2, error);
  check("and the service goes on", isEnd(await client.chat({ model: "chat", messages, options })));
}

async function refusals() {
  const none = await failure(client.generate({ model: "none", prompt: "a" }));
  check("a model that is not there", none?.status_code === 404 && none.error.includes("'none'"), none);
  const kind = await failure(client.chat({ model: "minilm", messages }));
  check("an encoder writes nothing", kind?.status_code === 400, kind?.error);
  const image = await failure(client.chat({ model: "chat",
    messages: [{ role: "user", content: "a", images: ["aGk="] }] }));
  check("images are named", image?.status_code === 400 && image.error.includes("images"), image?.error);
  const others = { pull: () => client.pull({ model: "a" }), push: () => client.push({ model: "a" }),
    create: () => client.create({ model: "a", from: "b" }),
    copy: () => client.copy({ source: "a", destination: "b" }),
    delete: () => client.delete({ model: "a" }) };
  for (const [name, ask] of Object.entries(others)) {
    const error = await failure(ask());
    check(`${name} is refused`, error?.status_code === 400 && error.error.includes(`/api/${name}`),
      error?.error);
  }
  const stranger = new Ollama({ host: url });
  const locked = await failure(stranger.list());
  check("a key is needed", locked?.status_code === 401 && locked.error.includes("key"), locked?.error);
  const long = await failure(client.generate({ model: "chat", prompt: "word ".repeat(3000) }));
  check("a prompt that does not fit", long?.status_code === 400, long?.error);
}

await lists();
await generate();
await chat();
await loading();
await embed();
for (const model of ["hermes", "mistral", "mistral-named", "llama3", "bare"]) await call(model);
await abort();
await refusals();
finish();
