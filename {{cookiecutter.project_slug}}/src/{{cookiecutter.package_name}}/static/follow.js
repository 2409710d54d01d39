/**
 * Follows a job and shows how far it is: by the event stream, or by asking once a second when the
 * stream stays silent, as it does behind a proxy that holds it back, and while the server has no
 * stream to spare. `silo:event` {event, data} on the document tells what else the stream carries,
 * such as a broadcast.
 */

import { Problem, get, pause, request } from "./api.js";

const ENDS = ["complete", "failed", "cancelled", "expired"];
const LINES = 200;
const FIRST_BYTE = 6; // seconds
const HEARTBEAT = 25; // seconds; the server sends one every 15
const LONGEST_PAUSE = 30; // seconds between two streams, unless the server names another time
const ASK_TIMES = 10; // before another try, while the server has no stream to spare
const FULL = [429, 503];
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
  showLog(lines);
  if (Date.now() - announced < ANNOUNCE * 1000) return;
  announced = Date.now();
  $("announce").textContent = `${$("percent").textContent} ${message}`;
}

let logged = []; // the lines in the log, each in a text of its own

/**
 * Add what is new to the log, and drop what is no longer among the lines: what somebody reads there,
 * or has marked to copy, stays. It scrolls along for those only who look at its end.
 */
function showLog(lines) {
  const log = $("log");
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  let gone = 0;
  while (!logged.slice(gone).every((line, i) => line === lines[i])) gone++;
  for (let i = 0; i < gone; i++) log.firstChild.remove();
  log.append(...lines.slice(logged.length - gone).map((line) => `${line}\n`));
  logged = lines;
  if (atEnd) log.scrollTop = log.scrollHeight;
}

/** Show a job until it has ended. */
export async function follow(signal) {
  try {
    await followed(signal);
  } finally {
    $("announce").textContent = ""; // nothing of it is true any more
  }
}

async function followed(signal) {
  const seen = { id: "", count: 0, job: null, lines: [], retry: 1 };
  for (let silent = 0, wait = 1; silent < 2; wait = Math.min(wait * 2, LONGEST_PAUSE)) {
    const { count } = seen;
    const told = await listen(seen, signal);
    if (told === "end") return;
    if (told === "full") {
      if (await ask(signal, ASK_TIMES)) return;
      continue;
    }
    if (seen.count > count) [silent, wait] = [0, seen.retry];
    else silent++;
    await pause(wait * (1 + Math.random() / 4), signal);
  }
  await ask(signal);
}

/** Ask how the job stands, so many times; true when it has ended. */
async function ask(signal, times = Infinity) {
  for (; times > 0; times--) {
    const job = await get("progress");
    signal.throwIfAborted();
    showJob(job, job.logs);
    if (!job.running) return true;
    await pause(1, signal);
  }
  return false;
}

/** Read one stream: "end" when it told the end, "full" when the server has none to spare. */
async function listen(seen, signal) {
  const cut = new AbortController();
  const either = AbortSignal.any([signal, cut.signal]);
  let timer = setTimeout(() => cut.abort(), FIRST_BYTE * 1000);
  const alive = () => {
    seen.count++;
    clearTimeout(timer);
    timer = setTimeout(() => cut.abort(), HEARTBEAT * 1000);
  };
  try {
    const headers = { "Last-Event-ID": seen.id };
    const { body } = await request("events", { headers, away: ({ status }) => [502, 504].includes(status) }, either);
    for await (const event of parse(body, alive)) {
      if (take(event, seen)) return "end";
    }
    return seen.job?.status === "idle" ? "end" : "cut";
  } catch (error) {
    if (FULL.includes(error.status)) return "full";
    if (signal.aborted || error instanceof Problem) throw error;
    return "cut";
  } finally {
    clearTimeout(timer);
    cut.abort();
  }
}

/** Take in one event; true when it is the last. */
function take({ id, event, data, retry }, seen) {
  if (retry) seen.retry = retry / 1000;
  if (!data) return false;
  seen.id = id ?? seen.id;
  const add = (line) => (seen.lines = [...seen.lines, line].slice(-LINES));
  if (event === "log") add(data.line);
  else if (event === "missed") add("…");
  else if (event === "progress" || ENDS.includes(event)) seen.job = data.status ? data : seen.job;
  else document.dispatchEvent(new CustomEvent("silo:event", { detail: { event, data } }));
  if (seen.job) showJob(seen.job, seen.lines);
  return ENDS.includes(event);
}

/** The blocks of a text/event-stream as {id, event, data, retry}; `alive` hears comments too. */
async function* parse(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let part; !(part = await reader.read()).done; ) {
    alive();
    const blocks = (text + part.value).split(/\r?\n\r?\n/);
    text = blocks.pop();
    for (const block of blocks) {
      const fields = [...block.matchAll(/^(\w+): ?(.*)$/gm)].map(([, name, value]) => [name, value]);
      const { data, ...rest } = Object.fromEntries(fields);
      yield { ...rest, data: data && JSON.parse(data) };
    }
  }
}
