/**
 * Says that the session is about to end, and lets the person keep it; it comes when that moment does.
 * The line moves no focus, and is told to a screen reader once.
 */

import { get } from "./api.js";
import { el } from "./elements.js";

const $ = (id) => document.getElementById(id);
const root = document.documentElement;

let page; // {press, sync} of the page
const words = el("span");
const button = el("button", { type: "button", textContent: "Keep them" });
const line = el("section", { id: "ending", ariaLabel: "Your session" }, words, " ", button);
line.dataset.in = "ready failed cancelled done review"; // elsewhere there is nothing to keep
button.addEventListener("click", () => page.press(button, keep));

/** The session ends in so many seconds, or not soon if that is null. */
export function tell(seconds, ends) {
  page = ends;
  if (seconds === null) return close();
  words.textContent = `Your files are removed in ${inWords(seconds)}.`;
  if (line.isConnected) return;
  $("connection").after(line);
  document.activeElement.scrollIntoView({ block: "nearest" }); // or the line may cover it
  if (line.checkVisibility()) $("announce").textContent = words.textContent;
}

function inWords(seconds) {
  if (seconds >= 90) return `${Math.round(seconds / 60)} minutes`;
  if (seconds >= 60) return "1 minute";
  return seconds >= 10 ? `${Math.floor(seconds / 10) * 10} seconds` : "a few seconds";
}

/** Any call that reads the session lengthens its life. */
async function keep() {
  await get("progress");
  await page.sync();
  $("announce").textContent = "Your files are kept.";
}

/** The focus does not go with the line. */
function close() {
  if (!line.isConnected) return;
  const focused = line.contains(document.activeElement);
  line.remove();
  $("announce").textContent = "";
  if (focused) document.querySelector(`[data-in~="${root.dataset.state}"] h2`)?.focus();
}
