/**
 * Follows a job: by the event stream, or by asking once a second when the stream stays silent,
 * as it does behind a proxy that holds it back.
 */

import { Problem, get, pause, request } from "./api.js";

const ENDS = ["complete", "failed", "cancelled"];
const LINES = 200;
const FIRST_BYTE = 6; // seconds
const HEARTBEAT = 25; // seconds; the server sends one every 15

/** Call `show(job, lines)` at every change; resolves to the job when it has ended. */
export async function follow(show, signal) {
  const seen = { id: "", job: null, lines: [], show };
  for (let silent = 0; silent < 2; ) {
    const { id } = seen;
    if (await listen(seen, signal)) return seen.job;
    silent = seen.id === id ? silent + 1 : 0;
    await pause(1, signal);
  }
  return ask(show, signal);
}

async function ask(show, signal) {
  for (;;) {
    const job = await get("progress");
    signal.throwIfAborted();
    show(job, job.logs);
    if (!job.running) return job;
    await pause(1, signal);
  }
}

/** Read one stream; true when it told the end, false when it broke off or fell silent. */
async function listen(seen, signal) {
  const cut = new AbortController();
  const either = AbortSignal.any([signal, cut.signal]);
  let timer = setTimeout(() => cut.abort(), FIRST_BYTE * 1000);
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => cut.abort(), HEARTBEAT * 1000);
  };
  try {
    const { body } = await request("events", { headers: { "Last-Event-ID": seen.id } }, either);
    for await (const event of parse(body, alive)) {
      if (take(event, seen)) return true;
    }
    return seen.job?.status === "idle";
  } catch (error) {
    if (signal.aborted || error instanceof Problem) throw error;
    return false;
  } finally {
    clearTimeout(timer);
    cut.abort();
  }
}

/** Take in one event; true when it is the last. */
function take({ id, event, data }, seen) {
  if (event === "expired") throw new Problem({ status: 410 });
  seen.id = id ?? seen.id;
  if (event === "log") seen.lines = [...seen.lines, data.line].slice(-LINES);
  else seen.job = data;
  if (seen.job) seen.show(seen.job, seen.lines);
  return ENDS.includes(event);
}

/** The events of a text/event-stream as {id, event, data}; `alive` is called for comments too. */
async function* parse(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let part; !(part = await reader.read()).done; ) {
    alive();
    const blocks = (text + part.value).split(/\r?\n\r?\n/);
    text = blocks.pop();
    for (const block of blocks) {
      const fields = [...block.matchAll(/^(\w+): ?(.*)$/gm)].map(([, name, value]) => [name, value]);
      const { id, event, data } = Object.fromEntries(fields);
      if (data) yield { id, event, data: JSON.parse(data) };
    }
  }
}
