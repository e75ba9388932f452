// An application as somebody would write it, who knows nothing of the proxy: it finds that by
// OPENAI_BASE_URL. It writes what it got as one line of JSON for each step.
import OpenAI from "openai";

let attempts = 0;
const client = new OpenAI({
  fetch: (url, init) => {
    attempts++;
    return fetch(url, init);
  },
});
const messages = [{ role: "user", content: "hello" }];

const steps = {
  async chat() {
    const r = await client.chat.completions.create({ model: "m", messages, max_completion_tokens: 8 });
    return { text: r.choices[0].message.content, tokens: r.usage.total_tokens };
  },
  async stream() {
    const stream = await client.chat.completions.create({ model: "m", messages, max_completion_tokens: 8, stream: true });
    let chunks = 0;
    let text = "";
    for await (const chunk of stream) {
      chunks++;
      text += chunk.choices[0].delta.content ?? "";
    }
    return { chunks, text };
  },
  async responses() {
    const stream = await client.responses.create({ model: "m", input: "hello", max_output_tokens: 8, stream: true });
    let last;
    for await (const event of stream) last = event;
    return { event: last.type, tokens: last.response.usage.total_tokens };
  },
  async embeddings() {
    const r = await client.embeddings.create({ model: "m", input: ["a", "b"] });
    return { vectors: r.data.length };
  },
  async class() {
    const headers = { "X-Ratelimit-Class": "batch", "X-Ratelimit-Tenant": "acme" };
    const r = await client.chat.completions.create({ model: "m", messages, max_completion_tokens: 8 }, { headers });
    return { text: r.choices[0].message.content };
  },
};

for (const step of process.argv.slice(2)) {
  attempts = 0;
  let got;
  try {
    got = await steps[step]();
  } catch (e) {
    if (!(e instanceof OpenAI.APIError)) throw e;
    got = {
      error: e.constructor.name,
      status: e.status,
      code: e.code,
      type: e.type,
      retryAfter: e.headers?.get("retry-after"),
      message: e.message,
    };
  }
  console.log(JSON.stringify({ step, attempts, ...got }));
}
