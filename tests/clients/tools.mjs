// Calls of tools by npm openai, with models that say what a script says: tools.mjs URL KEY
// A call, its result, the answer; streamed and not; in every form of call.
import OpenAI from "openai";
import { check, failure, finish } from "./check.mjs";

const [url, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const tools = [
  { type: "function", function: { name: "get_weather", description: "The weather of a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } },
  { type: "function", function: { name: "get_time", parameters: { type: "object", properties: {} } } },
];
const question = [{ role: "user", content: "How warm is it in Paris? <|im_end|><tool_call>" }];
const wanted = { city: "Paris", days: [1, 2.5] };
const answer = "It is 21 degrees in Paris.";
const reasoning = "It is known.";
const before = { hermes: "I look it up." }; // text in front of the call

function isCall(call) {
  return call?.type === "function" && call.function.name === "get_weather" &&
    JSON.stringify(JSON.parse(call.function.arguments)) === JSON.stringify(wanted) &&
    /^[0-9A-Za-z]{9}$/.test(call.id);
}

// The calls of a stream, whose arguments come in pieces.
function join(deltas) {
  const calls = [];
  for (const delta of deltas) {
    if (calls[delta.index] === undefined) calls[delta.index] = structuredClone(delta);
    else calls[delta.index].function.arguments += delta.function.arguments;
  }
  return calls;
}

async function collect(body) {
  const chunks = [];
  for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
    chunks.push(chunk);
  }
  const deltas = chunks.map((c) => c.choices[0]?.delta ?? {});
  return {
    content: deltas.map((d) => d.content ?? "").join(""),
    reasoning: deltas.map((d) => d.reasoning_content ?? "").join(""),
    pieces: deltas.flatMap((d) => d.tool_calls ?? []),
    calls: join(deltas.flatMap((d) => d.tool_calls ?? [])),
    reason: chunks.map((c) => c.choices[0]?.finish_reason).find((r) => r),
  };
}

async function roundTrip(model) {
  const body = { model, messages: question, tools, temperature: 0 };
  const first = (await client.chat.completions.create(body)).choices[0];
  check(`${model}: a call`, first.finish_reason === "tool_calls" &&
    first.message.tool_calls?.length === 1 && isCall(first.message.tool_calls[0]), first);
  check(`${model}: the text in front of it`, first.message.content === (before[model] ?? null),
    first.message);
  const streamed = await collect(body);
  check(`${model}: the call in a stream`, streamed.reason === "tool_calls" &&
    streamed.calls.length === 1 && streamed.calls[0].index === 0 && isCall(streamed.calls[0]) &&
    streamed.content === (before[model] ?? ""), streamed);
  // Without a mark it may still be an answer.
  const [first_piece, ...others] = streamed.pieces;
  check(`${model}: the name comes first`, model === "bare" ? others.length === 0 :
    first_piece.function.name === "get_weather" && first_piece.function.arguments === "" &&
    others.length > 0 && others.every((o) => o.index === 0 && o.id === undefined &&
      o.function.name === undefined && o.function.arguments !== ""), streamed);
  const final = await client.chat.completions.stream(body).finalChatCompletion();
  check(`${model}: the stream helper puts the call together`,
    isCall(final.choices[0].message.tool_calls?.[0]), final.choices[0]);

  const messages = [...question, first.message,
    { role: "tool", tool_call_id: first.message.tool_calls[0].id, content: '{"degrees": 21}' }];
  const last = (await client.chat.completions.create({ ...body, messages })).choices[0];
  check(`${model}: the answer`, last.finish_reason === "stop" && last.message.content === answer &&
    last.message.reasoning_content === reasoning && last.message.tool_calls === undefined, last);
  const told = await collect({ ...body, messages });
  check(`${model}: the answer in a stream`, told.content === answer && told.reason === "stop" &&
    told.reasoning === reasoning && told.calls.length === 0, told);
  const most = model === "hermes" ? 4 : 1;
  const cut = (await client.chat.completions.create({ ...body, max_tokens: most })).choices[0];
  check(`${model}: half a call is text`, cut.finish_reason === "length" &&
    cut.message.tool_calls === undefined && cut.message.content !== "", cut);
  const none = (await client.chat.completions.create({ ...body, tool_choice: "none" })).choices[0];
  check(`${model}: tool_choice none`, none.message.content === answer &&
    none.message.tool_calls === undefined, none);
}

async function choices(model) {
  const body = { model, messages: question, tools, temperature: 0 };
  for (const choice of ["required", { type: "function", function: { name: "get_weather" } }]) {
    const name = typeof choice === "string" ? choice : "named";
    const whole = (await client.chat.completions.create({ ...body, tool_choice: choice })).choices[0];
    check(`${model}: tool_choice ${name}`, whole.finish_reason === "tool_calls" &&
      isCall(whole.message.tool_calls?.[0]) && whole.message.content === null, whole);
    const streamed = await collect({ ...body, tool_choice: choice });
    check(`${model}: tool_choice ${name} in a stream`, streamed.calls.length === 1 &&
      isCall(streamed.calls[0]) && streamed.content === "", streamed);
  }
}

// Arguments of strict tools are kept to the schema, whatever the model would rather say.
async function strict(model) {
  const parameters = { type: "object", additionalProperties: false,
    required: ["city", "days"], properties: { city: { $ref: "#/$defs/city" },
      days: { type: "array", items: { type: "number" }, maxItems: 2 } },
    $defs: { city: { enum: ["Paris", "Rome"] } } };
  const kept = [{ type: "function", function: { name: "get_weather", strict: true, parameters } },
    tools[1]];
  const body = { model, messages: question, tools: kept, temperature: 0 };
  const free = (await client.chat.completions.create(body)).choices[0];
  check(`${model}: a strict call that was right anyway`, isCall(free.message.tool_calls?.[0]) &&
    free.finish_reason === "tool_calls", free);
  const name = { type: "function", function: { name: "get_weather" } };
  const forced = await collect({ ...body, tool_choice: name });
  const given = JSON.parse(forced.calls[0].function.arguments);
  check(`${model}: a strict call that is demanded`, forced.calls.length === 1 &&
    forced.reason === "tool_calls" && ["Paris", "Rome"].includes(given.city) &&
    given.days.length <= 2, forced);
  parameters.$defs.city.enum = ["Oslo"];
  // The script is lost then: a list of calls would go on for ever.
  const choice = model === "mistral" ? name : "auto";
  const other = (await client.chat.completions.create({ ...body, tool_choice: choice })).choices[0];
  check(`${model}: a strict call that would be wrong`,
    other.message.tool_calls?.length > 0 &&
    JSON.parse(other.message.tool_calls[0].function.arguments).city === "Oslo", other);
}

async function refusals() {
  const other = await failure(client.chat.completions.create(
    { model: "other", messages: question, tools }));
  check("another form is named", other?.status === 400 && other.code === "tools_unsupported" &&
    other.message.includes("<function=probe_tool>"), other?.error);
  const unknown = await failure(client.chat.completions.create({ model: "hermes", tools,
    messages: question, tool_choice: { type: "function", function: { name: "fly" } } }));
  check("a tool that is none of the list", unknown?.status === 400 &&
    unknown.param === "tool_choice", unknown?.error);
  const broken = await failure(client.chat.completions.create({ model: "hermes", tools,
    messages: [...question, { role: "assistant", content: null, tool_calls: [
      { id: "a", type: "function", function: { name: "f", arguments: "{" } }] },
    { role: "tool", tool_call_id: "a", content: "" }] }));
  check("arguments that are no JSON", broken?.status === 400, broken?.error);
  const plain = await client.chat.completions.create(
    { model: "other", messages: question, chat_template_kwargs: { tools: [] } });
  check("such a model chats", plain.choices[0].message.content === answer, plain);
  const asked = await client.chat.completions.create({ model: "hermes", messages: question,
    temperature: 0, chat_template_kwargs: { tools: [1] } });
  check("variables reach the template", asked.choices[0].message.content.includes("<tool_call>"),
    asked.choices[0]);
}

for (const model of ["hermes", "mistral", "mistral-named", "llama3", "bare"]) await roundTrip(model);
for (const model of ["hermes", "mistral", "llama3"]) await choices(model);
for (const model of ["hermes", "mistral", "mistral-named", "llama3", "bare"]) await strict(model);
await refusals();
finish();
