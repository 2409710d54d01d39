/**
 * In development only: the traceback of a failed step, and why the server cannot be started. Both are
 * shown as text.
 */

import { BASE, identity } from "./api.js";
import { el } from "./elements.js";

const box = (label) => {
  const pre = el("pre", { hidden: true, tabIndex: 0, ariaLabel: label });
  pre.style.cssText = "overflow: auto; max-height: 60vh; overflow-wrap: normal; font-size: .875rem";
  return pre;
};
const trace = box("Traceback");
const reason = box("Why the server does not start");
document.getElementById("reason").after(trace);
document.getElementById("connection").after(reason);

function show(pre, text) {
  pre.textContent = text;
  pre.hidden = !text;
}

async function ask(path) {
  const response = await fetch(new URL(path, BASE), { headers: identity(), cache: "no-store" });
  return { ok: response.ok, ...(await response.json()) };
}

document.addEventListener("silo:state", async ({ detail: { state } }) => {
  show(trace, "");
  if (state !== "failed") return;
  const { job } = await ask("status");
  if (document.documentElement.dataset.state === state) show(trace, job.logs.join("\n"));
});

let heard = 0; // an answer to an older question may come later

document.addEventListener("silo:connection", async ({ detail: { up } }) => {
  const mine = ++heard;
  const { ok, detail } = up ? { ok: true } : await ask("status").catch(() => ({ ok: true }));
  if (mine === heard) show(reason, ok ? "" : detail);
});
