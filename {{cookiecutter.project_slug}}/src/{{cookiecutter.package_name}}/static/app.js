/**
 * The page. One attribute on the root holds its state; CSS shows the parts that belong to it.
 *
 * Every action ends in `sync`, which asks the server what is there and shows that: a reload, a second
 * tab and a lost connection all go the same way. Events on the document for whoever listens:
 * `silo:state` {state, from}, `silo:error` {error}, `silo:connection` {up}.
 */

import { Problem, connection, get, onOtherTab, pause, post, recall, remember } from "./api.js";
import { bytes, el } from "./elements.js";

const root = document.documentElement;
const title = document.title;
const $ = (id) => document.getElementById(id);
const fields = $("fields");

let held = []; // the File objects this tab can send again
let sending; // AbortController of the running upload
let following; // AbortController of the followed job
let resetting;
let facts = ""; // what the server said last: only changes are acted upon
let turn = 0; // the latest question to the server: older answers are dropped
let timer; // looks whether the session has expired
let ending; // the line that says so before
let loading;

const emit = (type, detail) => document.dispatchEvent(new CustomEvent(`silo:${type}`, { detail }));

// States

/** Show a state and move the focus to its heading, unless the page is only being opened. */
function show(state) {
  const from = root.dataset.state;
  if (from === state) return;
  root.dataset.state = state;
  say("");
  remember({ state }); // the other tabs hear of it
  for (const step of document.querySelectorAll("[data-step]")) {
    step.ariaCurrent = step.matches(`[data-step~="${state}"]`) ? "step" : null;
  }
  const heading = document.querySelector(`[data-in~="${state}"] h2`);
  document.title = state === "empty" ? title : `${heading.textContent} · ${title}`;
  heading.tabIndex = -1;
  if (from !== "loading") heading.focus();
  emit("state", { state, from });
}

function say(sentence) {
  $("problem").textContent = sentence;
  $("problem").hidden = !sentence;
  if (sentence) $("problem").focus();
}

/** Ask the server what is there, and show it. */
async function sync() {
  if (sending) return;
  if (!recall().session) {
    connection(navigator.onLine); // no call will tell
    return show("empty");
  }
  const mine = ++turn;
  const status = await get("status");
  if (mine !== turn || sending) return;
  const { session, files, job, expires_in } = status;
  wakeIn(job?.running ? null : expires_in);
  const told = JSON.stringify([session, files, job?.id, job?.running || job?.status]);
  if (told === facts) return;
  facts = told;
  if (session !== "live") return lost();
  await settle(status);
}

async function settle({ files, job, options, review }) {
  const mine = facts;
  const late = () => mine !== facts || sending;
  const { form, report } = await parts();
  if (late()) return;
  if (options && !recall().options) form.fill(fields, options);
  remember({ files: files.map(({ name, size }) => ({ name, size })) });
  list($("uploaded"), files);
  const found = await report.reviewed(review, { press, show, sync, module });
  if (job?.running) act(watch);
  else if (job?.status === "complete") await (job.id === review ? found.open(review) : report.open(show, late));
  else if (job?.status === "failed") fail(job);
  else if (job?.status === "cancelled") show("cancelled");
  else show(files.length ? "ready" : "empty");
  if (files.length) form.offerColumns(fields, files);
}

/** Look again when the session may be about to end, and then until it has; looking lengthens no life. */
function wakeIn(seconds) {
  clearTimeout(timer);
  const soon = seconds !== null && seconds <= root.dataset.warn;
  if (soon) ending ??= module("ending");
  ending?.then(({ tell }) => tell(soon ? seconds : null, { press, sync }));
  if (seconds === null) return;
  const next = soon ? Math.min(seconds, 10) : seconds - root.dataset.warn;
  timer = setTimeout(act, Math.min(next * 1000 + 500, 2 ** 31 - 1), sync);
}

/** The session is gone: ask for its files again, if there were any. */
function lost() {
  following?.abort();
  const { files = [], corrected } = recall();
  if (!files.length) return show("empty");
  const sizes = (some) => some.map(({ size }) => size).join();
  const same = sizes(held) === sizes(files);
  list($("lost"), files);
  $("resend").hidden = !same;
  $("ask").hidden = same;
  $("gone").hidden = !corrected;
  show("expired");
}

/** The form, the report and the stream come with the first upload. */
const parts = () => (loading ??= load());

async function load() {
  const files = ["form", "report", "follow"].map(module);
  const [form, report, stream] = await Promise.all(files);
  form.build(fields, await get("options"));
  form.fill(fields, recall().options ?? {});
  return { form, report, stream };
}

async function module(name, signal) {
  for (;;) {
    try {
      return await import(`./${name}.js`);
    } catch {
      connection(false);
      await pause(2, signal);
    }
  }
}

// Upload

async function send(files) {
  while (sending?.signal.aborted) await pause(0.05);
  if (!files.length || sending) return;
  await readable(files);
  await resetting?.catch(() => {}); // or it takes these along
  if (sending) return;
  const from = root.dataset.state;
  sending = new AbortController();
  sent(0, 0);
  show("uploading");
  try {
    const { upload } = await module("upload", sending.signal);
    await upload(files, sent, sending.signal);
    held = files;
    if (from !== "expired") remember({ goal: null });
  } catch (error) {
    show(from);
    throw error;
  } finally {
    sending = undefined;
    facts = "";
  }
  await (recall().goal ? start() : sync());
}

/** A folder, or a file that was moved since, is told here rather than half-way. */
async function readable(files) {
  const { least, most, count } = $("files").dataset;
  if (files.length < least || files.length > most) throw new Problem({ detail: count });
  for (const file of files) {
    await file.slice(0, 1).arrayBuffer().catch(() => {
      throw new Problem({ detail: `“${file.name}” cannot be read. If it was moved or changed, choose it again.` });
    });
  }
}

function sent(count, total) {
  if (total) $("sent").value = count / total;
  else $("sent").removeAttribute("value");
  const far = count < total ? `${bytes(count)} of ${bytes(total)}` : "Sent. Checking the files…";
  $("bytes").textContent = total ? far : "Connecting…";
}

function list(box, files) {
  const item = ({ name, size }) => el("li", {}, el("bdi", { textContent: name }), el("span", { textContent: bytes(size) }));
  box.replaceChildren(...files.map(item));
}

async function sample() {
  const { fetched } = await module("upload");
  await send(await fetched(root.dataset.samples));
}

// Process

async function start() {
  const { form } = await parts();
  const wrong = form.unreadable(fields);
  if (wrong.length) throw new Problem({ status: 422, errors: wrong });
  form.mark(fields, []);
  remember({ goal: "report" });
  await post("process", form.values(fields)).catch(unless("already_running"));
  facts = "";
  await sync();
}

/** Passes over the answer that what was asked for is so already. */
const unless = (code) => (error) => {
  if (error.code !== code) throw error;
};

async function watch() {
  const { stream } = await parts();
  following?.abort();
  following = new AbortController();
  stream.showJob({ status: "queued", message: "Waiting for its turn…" }, []);
  show("running");
  await stream.follow(following.signal);
  facts = "";
  await sync();
}

async function cancel() {
  remember({ goal: null });
  await post("cancel").catch(unless("not_running"));
}

function fail({ error }) {
  $("reason").textContent = error;
  remember({ goal: null });
  show("failed");
}

// Report

/** A signed link makes it the browser's own download. */
async function download({ dataset: { file } }) {
  const { url } = await post("report/link", { file });
  el("a", { href: url, download: "" }).click();
}

async function reset() {
  following?.abort();
  resetting = post("reset").finally(() => (facts = "")); // or nobody follows a job that goes on
  await resetting;
  held = [];
  remember({ files: [], goal: null });
  (await loading)?.form.mark(fields, []);
  await sync();
}

// Wiring

const actions = {
  sample,
  cancel,
  download,
  reset,
  resend: () => send(held),
  stop: () => sending?.abort(),
  choose: () => $("files").click(),
  change: () => show("ready"),
};

/** Run an action and show what goes wrong. */
async function act(action) {
  try {
    await action();
  } catch (error) {
    await complain(error);
  }
}

/** The same for a control, which does nothing more while it is still at it. */
async function press(control, action) {
  if (control.ariaBusy) return;
  control.ariaBusy = "true";
  say("");
  await act(action);
  control.ariaBusy = null;
}

/** Files that were chosen or dropped, even while the page still tidies up after others. */
function bring(files) {
  say("");
  act(() => send(files));
}

async function complain(error) {
  const aborted = error.name === "AbortError";
  if (!aborted) emit("error", { error });
  if (error.status === 410) return lost();
  await act(sync);
  if (aborted) return;
  if (!(error instanceof Problem)) reportError(error);
  const rest = error.fields?.length ? await refuse(error.fields) : [error];
  if (rest.length) say(rest.map(({ field, message }) => (field ? `${field}: ${message}` : message)).join(" "));
}

/** Options that will not do; gives back the errors that belong to no field. */
async function refuse(errors) {
  remember({ goal: null });
  const { form } = await parts();
  return form.mark(fields, errors);
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-do]");
  if (button) press(button, () => actions[button.dataset.do](button));
});

$("options").addEventListener("submit", (event) => {
  event.preventDefault();
  press($("process"), start);
});

$("options").addEventListener("input", async () => {
  const { form } = await parts();
  remember({ options: form.values(fields) });
});

$("files").addEventListener("change", ({ target }) => {
  const files = [...target.files];
  target.value = ""; // so that the same files can be chosen again
  bring(files);
});

const bringsFiles = (event) => event.dataTransfer.types.includes("Files");

document.addEventListener("dragover", (event) => {
  if (!bringsFiles(event)) return;
  event.preventDefault();
  root.toggleAttribute("data-dragging", true);
});
document.addEventListener("dragleave", () => root.removeAttribute("data-dragging"));
document.addEventListener("drop", (event) => {
  if (!bringsFiles(event)) return;
  event.preventDefault();
  root.removeAttribute("data-dragging");
  const files = [...event.dataTransfer.files];
  if ($("files").checkVisibility()) return bring(files);
  act(async () => say((await module("upload")).declined()));
});

document.addEventListener("silo:connection", ({ detail: { up } }) => {
  const away = navigator.onLine
    ? "The server does not answer; trying again…"
    : "You are offline. The page goes on by itself when you are back.";
  $("connection").textContent = up ? "" : away;
});
addEventListener("offline", () => connection(false));
addEventListener("online", () => (connection(true), act(sync)));
addEventListener("focus", () => act(sync));
onOtherTab(() => act(sync));
act(sync);
