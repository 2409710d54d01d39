/**
 * Follows a job and shows how far it is: by the event stream, or by asking once a second when the
 * stream stays silent, as it does behind a proxy that holds it back.
 */

import { Problem, get, pause, request } from "./api.js";

const ENDS = ["complete", "failed", "cancelled", "expired"];
const LINES = 200;
const FIRST_BYTE = 6; // seconds
const HEARTBEAT = 25; // seconds; the server sends one every 15
const ANNOUNCE = 5; // seconds between two messages for a screen reader

const $ = (id) => document.getElementById(id);
let announced = 0;

/** Show a job and its log lines. */
export function showJob({ status, progress, message, attempt }, lines) {
  const queued = status === "queued";
  if (queued) $("progress").removeAttribute("value");
  else $("progress").value = progress;
  $("percent").textContent = queued ? "" : `${Math.floor(progress)} %`;
  $("message").textContent = attempt > 1 ? `Attempt ${attempt}: ${message}` : message;
  $("log").textContent = lines.join("\n");
  $("log").scrollTop = $("log").scrollHeight;
  if (Date.now() - announced < ANNOUNCE * 1000) return;
  announced = Date.now();
  $("announce").textContent = `${$("percent").textContent} ${message}`;
}

/** Show a job until it has ended. */
export async function follow(signal) {
  const seen = { id: "", count: 0, job: null, lines: [] };
  for (let silent = 0; silent < 2; ) {
    const { count } = seen;
    if (await listen(seen, signal)) return;
    silent = seen.count === count ? silent + 1 : 0;
    await pause(1, signal);
  }
  await ask(signal);
}

async function ask(signal) {
  for (let job; !job || job.running; await pause(1, signal)) {
    job = await get("progress");
    signal.throwIfAborted();
    showJob(job, job.logs);
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
  seen.id = id ?? seen.id;
  seen.count++;
  if (event === "log") seen.lines = [...seen.lines, data.line].slice(-LINES);
  else if (event !== "expired") seen.job = data;
  if (seen.job) showJob(seen.job, seen.lines);
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
