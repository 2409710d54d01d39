/**
 * The review between processing and the report: a table whose cells can be corrected. It has its
 * roles in words, since a narrow screen lays it out as cards, which some browsers take for no table.
 *
 * Each change is sent at once, one after the other, with the value that it was made upon, so that a
 * change of another tab is never overwritten unseen. What the server refuses stays in its field,
 * with the reason; the report is made only when nothing is left unsaved.
 */

import { BASE, Problem, get, newKey, onOtherTab, post, recall, remember, request } from "./api.js";
import { el } from "./elements.js";
import { count, format, isNumeric } from "./format.js";

const ROWS = 100;
const $ = (id) => document.getElementById(id);

let page; // {press, show, sync} of the page
let id; // of the review
let shown; // the rows that are shown, as the server told them
let saving = Promise.resolve(); // the last of the changes that are under way
let waiting = 0; // how many there are
let version = 0; // of what is shown: an older answer changes nothing

document.head.append(el("link", { rel: "stylesheet", href: new URL("review.css", import.meta.url) }));

// The place of the review in the page: a step, a section, and the way back to it

const button = (text, className, action) => {
  const made = el("button", { type: "button", className, textContent: text });
  made.addEventListener("click", () => page.press(made, action));
  return made;
};

const step = el("li", { textContent: "Review" });
step.dataset.step = "review";
const make = button("Make the report", "primary", finish);
const section = el(
  "section",
  { className: "card", id: "review" },
  el("h2", { id: "review-title" }),
  el("ul", { id: "review-notes" }),
  el("div", { id: "review-rows", className: "scroll", tabIndex: 0, role: "region" }),
  el("p", { id: "review-pages" }),
  el("p", { className: "buttons" }, make, resetButton(), el("span", { id: "review-saved", role: "status" })),
);
section.dataset.in = "review";
const corrected = el("span", { id: "review-corrected", hidden: true, textContent: "Corrected." });
const price = el("p", { id: "price" }); // of making the report anew

function resetButton() {
  const made = el("button", { type: "button", className: "quiet", textContent: "Start over" });
  made.dataset.do = "reset";
  return made;
}

function place() {
  document.querySelector('[data-step~="done"]').before(step);
  document.querySelector('[data-in="done"]').before(section);
  $("review-rows").setAttribute("aria-labelledby", "review-title");
  section.append(corrected);
  for (const box of document.querySelectorAll('.buttons:has([data-do="change"], #process), [data-in="failed"], [data-in="cancelled"]')) {
    const back = button("Back to the review", "back", () => open(id));
    box.insertBefore(back, box.querySelector('[data-do="change"], [data-do="choose"]'));
  }
  $("process").parentElement.before(price);
  $("process").setAttribute("aria-describedby", price.id);
  document.addEventListener("silo:state", tellPrice);
  onOtherTab(refresh);
  addEventListener("focus", refresh);
}

/** Let the page have a review, or none; `ends` has what its buttons call. */
export function offer(review, ends) {
  if (!page) {
    page = ends;
    place();
  }
  if (review !== id) shown = null;
  id = review;
  for (const back of document.querySelectorAll(".back")) back.hidden = !id;
  if (!id) price.textContent = "";
}

/** Where the report can be made anew from the files, say that this drops the corrections, if any. */
async function tellPrice({ detail: { state } }) {
  if (!id || !["ready", "failed", "cancelled"].includes(state)) return;
  const { review, edits } = await get("review?limit=1").catch(() => ({}));
  if (review !== id) return;
  const what = edits === 1 ? "the value that you corrected" : `the ${count(edits)} values that you corrected`;
  price.textContent = edits ? `Making the report again from your files drops ${what} in the review.` : "";
}

/** Show the review. */
export async function open(review) {
  id = review;
  const found = await fetched(shown?.offset ?? 0).catch((error) => error);
  if (id !== review) return; // the page has another by now, or none
  if (found instanceof Error) throw found;
  build(found);
  page.show("review");
}

const fetched = (offset) => get(`review?offset=${offset}&limit=${ROWS}`);

// The table

function build(review) {
  version++;
  shown = review;
  $("review-title").textContent = review.title;
  $("review-notes").replaceChildren(...review.notes.map((textContent) => el("li", { textContent })));
  const head = review.columns.map((column) =>
    el("th", { scope: "col", role: "columnheader", className: isNumeric(column.kind) ? "number" : "", textContent: heading(column) }),
  );
  const rows = review.rows.map((cells, n) => row(cells, review.offset + n));
  $("review-rows").replaceChildren(
    el(
      "table",
      { role: "table" },
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, el("th", { scope: "col", role: "columnheader", textContent: "Row" }), ...head)),
      el("tbody", { role: "rowgroup" }, ...rows),
    ),
  );
  $("review-rows").scrollTop = 0;
  heads.disconnect();
  heads.observe(section.querySelector("thead"));
  markEdited();
  pages();
}

/** What gets the focus is not to lie under the headings, which stay in sight, however high they are. */
const heads = new ResizeObserver(([{ target }]) => {
  $("review-rows").style.scrollPaddingTop = `${target.offsetHeight + 8}px`;
});

const heading = ({ name, required }) => name + (required ? " (required)" : "");

function row(cells, number) {
  const head = el("th", { scope: "row", role: "rowheader", textContent: count(number + 1) });
  return el("tr", { role: "row" }, head, ...cells.map((value, i) => cell(value, shown.columns[i], number, i)));
}

function cell(value, column, number, i) {
  const className = isNumeric(column.kind) || typeof value === "number" ? "number" : "";
  if (!column.editable) {
    const look = { decimals: null, unit: "", ...column };
    return named(el("td", { role: "cell", className }, el("span", { textContent: format(value, look) })), column);
  }
  const name = `cell-${number}-${i}`;
  const field = control(column, value);
  Object.assign(field, { id: name, ariaLabel: `${column.name}, row ${count(number + 1)}` });
  field.required = column.required;
  field.setAttribute("aria-describedby", `${name}-error`);
  field.was = value;
  put(field, column, value);
  field.addEventListener("change", () => changed(field, column, number));
  const error = el("div", { id: `${name}-error`, className: "error" });
  return named(el("td", { role: "cell", className: `${className} edit` }, field, error), column);
}

/** On a narrow screen, where each row is a card, a cell shows the name of its column. */
function named(cell, column) {
  cell.dataset.name = heading(column);
  return cell;
}

function control({ kind, choices, least, most, longest }, value) {
  if (kind === "boolean") return el("input", { type: "checkbox" });
  if (kind === "choice") return el("select", {}, new Option("", ""), ...choices.map((text) => new Option(text)));
  if (kind === "text") return el("input", { maxLength: longest, autocomplete: "off", size: Math.min(Math.max(12, (value ?? "").length), 40) });
  const type = kind === "date" ? "date" : "number";
  return el("input", { type, step: kind === "number" ? "any" : "1", min: least ?? "", max: most ?? "", autocomplete: "off" });
}

function put(field, { kind }, value) {
  if (kind === "boolean") field.checked = value === true;
  else field.value = value ?? "";
}

function read(field, { kind }) {
  if (field.validity.badInput) throw new Problem({ detail: kind === "date" ? "This is not a date." : "This is not a number." });
  if (kind === "boolean") return field.checked;
  if (field.value === "") return null;
  return isNumeric(kind) ? Number(field.value) : field.value;
}

// Changes

function changed(field, column, number) {
  version++;
  waiting++;
  say("Saving…");
  const review = id; // when its turn comes, the page may have another
  saving = saving.then(() => save(review, field, column, number)).finally(() => waiting--);
  saving.then(tell);
}

async function save(review, field, column, number) {
  try {
    const value = read(field, column);
    const edit = { row: number, column: column.name, value, was: field.was };
    const { edits } = await patch({ review, edits: [edit] });
    field.was = value;
    if (shown) shown.edits = edits;
    flag(field, "");
    mark(field.closest("td"), true);
    remember({ edited: newKey(), corrected: edits }); // the other tabs hear of it
  } catch (error) {
    const mine = error.fields?.find((each) => each.row === number && each.column === column.name);
    if (error.code === "edit_conflict") clash(field, column, number, mine.value);
    else flag(field, mine?.message ?? error.message);
    if ([410, 409].includes(error.status) && error.code !== "edit_conflict") page.press(make, page.sync);
  }
}

async function patch(body) {
  const headers = { "Content-Type": "application/json" };
  const answer = await request(new URL("review", BASE), { method: "PATCH", headers, body: JSON.stringify(body) });
  return answer.json();
}

/** Another tab was first: the person decides between the two values. */
function clash(field, column, number, theirs) {
  const look = { decimals: null, unit: "", ...column };
  const text = format(theirs, look) || "empty";
  flag(field, `Another tab has made this “${text}”.`);
  const decide = (label, keep) => {
    const made = el("button", { type: "button", className: "quiet", textContent: label });
    made.addEventListener("click", () => {
      field.was = theirs;
      if (!keep) put(field, column, theirs);
      field.focus();
      changed(field, column, number);
    });
    return made;
  };
  field.nextElementSibling.append(decide("Keep mine", true), decide("Take that", false));
}

function flag(field, message) {
  delete field.dataset.missing;
  field.ariaInvalid = message ? "true" : null;
  field.nextElementSibling.replaceChildren(...(message ? [el("span", { textContent: message })] : []));
}

const say = (text) => ($("review-saved").textContent = text);
const unsaved = () => $("review-rows").querySelector("[aria-invalid]:not([data-missing])");

function tell() {
  if (waiting || !shown) return;
  say(unsaved() ? "Not everything is saved: see the marked cells." : `Saved: ${sum()}`);
}

const sum = () => `${count(shown.edits)} ${shown.edits === 1 ? "value" : "values"} corrected.`;

/** Show a cell as corrected or not, and say so to a screen reader. */
function mark(cell, edited) {
  const field = cell.querySelector("input, select");
  cell.toggleAttribute("data-edited", edited);
  field.setAttribute("aria-describedby", `${field.id}-error${edited ? ` ${corrected.id}` : ""}`);
}

function markEdited() {
  for (const { row, column } of shown.edited) {
    const i = shown.columns.findIndex(({ name }) => name === column);
    mark($(`cell-${row}-${i}`).closest("td"), true);
  }
  if (recall().corrected !== shown.edits) remember({ corrected: shown.edits });
  if (unsaved() || shown.edits) tell();
  else say("");
}

/** What other tabs have changed; a field that somebody is at, or that is not saved, stays. */
async function refresh() {
  if (document.documentElement.dataset.state !== "review" || waiting || !shown) return;
  const mine = ++version;
  const now = await fetched(shown.offset).catch(() => null); // the page itself tells what is wrong
  if (!now || mine !== version || now.review !== id) return;
  now.rows.forEach((cells, n) => cells.forEach((value, i) => update($(`cell-${now.offset + n}-${i}`), now.columns[i], value)));
  shown = now;
  for (const cell of section.querySelectorAll("[data-edited]")) mark(cell, false);
  markEdited();
}

function update(field, column, value) {
  const own = field?.ariaInvalid && !("missing" in field.dataset);
  if (!field || own || field === document.activeElement || field.was === value) return;
  field.was = value;
  put(field, column, value);
  flag(field, "");
}

// Pages, and the end

function pages() {
  const { offset, rows, row_count } = shown;
  const to = (first) => button(first < offset ? "Previous rows" : "Next rows", "", () => turn(first));
  const extent = `${count(offset + 1)} to ${count(offset + rows.length)} of ${count(row_count)} rows`;
  const text = row_count > rows.length ? extent : `${count(row_count)} ${row_count === 1 ? "row" : "rows"}`;
  $("review-pages").replaceChildren(
    el("span", { className: "muted", textContent: text }),
    offset > 0 ? to(Math.max(0, offset - ROWS)) : "",
    offset + rows.length < row_count ? to(offset + ROWS) : "",
  );
}

async function turn(first) {
  await settled();
  build(await fetched(first));
  $("review-rows").focus();
}

/** Wait until all is saved; what cannot be is told, and gets the focus. */
async function settled() {
  await saving;
  const field = unsaved();
  if (!field) return;
  field.focus();
  throw new DOMException("A cell is not saved.", "AbortError"); // its own words stand at the cell
}

async function finish() {
  await settled();
  try {
    await post("finish");
  } catch (error) {
    if (error.code !== "review_incomplete") throw error;
    return await missing(error.fields);
  }
  await page.sync();
}

/** Go to the first cell that must not be empty, and mark all of them that are shown. */
async function missing(errors) {
  const [{ row }] = errors;
  const first = row - (row % ROWS);
  if (first !== shown.offset) build(await fetched(first));
  for (const { row, column, message } of errors) {
    const i = shown.columns.findIndex(({ name }) => name === column);
    const field = $(`cell-${row}-${i}`);
    if (!field) continue;
    flag(field, message);
    field.dataset.missing = ""; // and yet saved
  }
  $("review-rows").querySelector("[data-missing]")?.focus();
  say("Some cells must not be empty.");
}
