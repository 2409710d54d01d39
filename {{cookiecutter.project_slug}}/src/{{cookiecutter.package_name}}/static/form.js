/** A form from the JSON Schema of the options. `controls.py` says which options it has a field for. */

import { get, pause, post } from "./api.js";
import { el } from "./elements.js";

document.head.append(el("link", { rel: "stylesheet", href: new URL("form.css", import.meta.url) }));

/** The schema of one option, with `$ref` and "or null" resolved. */
function resolve(schema, property) {
  const ref = property.$ref ?? property.allOf?.[0].$ref;
  const { title, description, ...named } = schema.$defs?.[ref?.split("/").pop()] ?? {}; // its labels are the class's
  const target = { ...named, ...property };
  const other = target.anyOf?.find((one) => one.type !== "null");
  if (other) return { ...resolve(schema, other), ...target, nullable: true };
  return target.items ? { ...target, items: resolve(schema, target.items) } : target;
}

/** What a choice offers: yes or no, too, where a box could not say "neither". */
function offered(option) {
  if (option.enum) return option.enum;
  if ("const" in option) return [option.const];
  return option.nullable && option.type === "boolean" ? [true, false] : [];
}

const answers = new Map([[true, "Yes"], [false, "No"]]);

function choice(option) {
  const blank = option.nullable ? [new Option("", "null")] : [];
  const named = (value) => new Option(answers.get(value) ?? value, JSON.stringify(value));
  return el("select", {}, ...blank, ...offered(option).map(named));
}

/** Boxes to tick, any number of them. */
function choices({ items }, id) {
  const box = (value, i) =>
    el(
      "label",
      { htmlFor: `${id}-${i}` },
      el("input", { type: "checkbox", id: `${id}-${i}`, value: JSON.stringify(value) }),
      el("span", { textContent: value }),
    );
  return el("fieldset", {}, ...offered(items).map(box));
}

/** The name of a column: to type, or to pick from those of the uploaded tables. */
function column(option, id) {
  const text = input({ ...option, format: "" });
  text.setAttribute("list", `${id}-list`);
  return text;
}

function control(option, id) {
  if (offered(option).length) return choice(option);
  if (option.type === "array") return choices(option, id);
  return option.format === "column" ? column(option, id) : input(option);
}

function input(option) {
  if (option.type === "boolean") return el("input", { type: "checkbox", defaultChecked: option.default === true });
  const numeric = ["integer", "number"].includes(option.type);
  const types = { date: "date", time: "time", email: "email" };
  const made = el("input", {
    type: numeric ? "number" : types[option.format] ?? "text",
    step: option.type === "integer" ? "1" : "any",
    min: option.minimum ?? option.exclusiveMinimum ?? "",
    max: option.maximum ?? option.exclusiveMaximum ?? "",
    placeholder: numeric && !option.nullable ? option.default ?? "" : "", // what an empty field stands for
    autocomplete: "off",
  });
  if (["date", "time"].includes(made.type) && !option.nullable) {
    // An empty one stands for its default, for which it has no room: so show that.
    made.addEventListener("blur", () => made.validity.badInput || (made.value ||= option.default ?? ""));
  }
  return made;
}

/** Whether an option is refused while its field is empty; a box or a choice always has a value. */
function needed({ nullable, required, type, format, minItems, minLength, ...option }) {
  if (nullable || type === "boolean" || offered(option).length) return false;
  if (type === "array") return minItems > 0;
  return type === "string" && format !== "date" ? minLength > 0 : required;
}

function field(name, option) {
  const id = `option-${name}`;
  const asked = control(option, id);
  Object.assign(asked, { id, name });
  Object.assign(asked.dataset, { type: option.type ?? "", nullable: option.nullable ?? "" });
  asked.setAttribute("aria-describedby", `${id}-help ${id}-error`);
  const words = name.replaceAll("_", " ").replace(/\b\w/g, (letter) => letter.toUpperCase());
  const title = (option.title ?? words) + (needed(option) ? " (required)" : "");
  const several = asked.type === "fieldset";
  const label = several ? "" : el("label", { htmlFor: id, textContent: title });
  if (several) asked.prepend(el("legend", { textContent: title }));
  const list = option.format === "column" ? el("datalist", { id: `${id}-list` }) : "";
  const help = el("p", { id: `${id}-help`, className: "muted", textContent: option.description ?? "" });
  const error = el("p", { id: `${id}-error`, className: "error" });
  const className = asked.type === "checkbox" ? "field check" : "field";
  return el("div", { className }, label, asked, list, help, error);
}

/** Build the fields in `box`, filled with the defaults. */
export function build(box, schema) {
  const options = Object.entries(schema.properties ?? {}).map(([name, one]) => [
    name,
    { ...resolve(schema, one), required: schema.required?.includes(name) },
  ]);
  box.replaceChildren(...options.map(([name, option]) => field(name, option)));
  box.addEventListener("input", ({ target }) => flag(target.closest("[name]"), "")); // it may be right now
  fill(box, Object.fromEntries(options.map(([name, option]) => [name, option.default])));
}

let offering = ""; // the files whose columns are offered, or will be

/** Offer the columns of these files wherever one is asked for; without an answer they can be typed. */
export async function offerColumns(box, files) {
  const lists = box.querySelectorAll("datalist");
  const ids = files.map(({ id }) => id).join();
  if (!lists.length || ids === offering) return;
  offering = ids;
  const columns = await columnsRead().catch(() => []);
  if (ids !== offering) return;
  for (const list of lists) list.replaceChildren(...columns.map((name) => new Option(name)));
}

async function columnsRead() {
  let found = await post("columns");
  for (let wait = 0.2; ["queued", "running"].includes(found.status); wait = Math.min(wait * 1.5, 3)) {
    await pause(wait);
    found = await get("columns");
  }
  return found.columns ?? [];
}

const controls = (box) => box.querySelectorAll("[name]");
const ticks = (fieldset) => [...fieldset.querySelectorAll("input")];

/** Put values in; what the form does not know, or does not offer, is left alone. */
export function fill(box, values) {
  for (const control of controls(box)) {
    const value = values[control.name];
    if (value === undefined) continue;
    if (control.type === "checkbox") control.checked = value === true;
    else if (control.type === "fieldset") tick(control, value);
    else if (control.type !== "select-one") control.value = value ?? "";
    else if ([...control.options].some((one) => one.value === JSON.stringify(value))) control.value = JSON.stringify(value);
  }
}

function tick(fieldset, values) {
  for (const box of ticks(fieldset)) box.checked = (values ?? []).some((value) => JSON.stringify(value) === box.value);
}

/** What to send; an empty number or date is left out, so that its default holds. */
export function values(box) {
  const read = [...controls(box)].map((control) => [control.name, valueOf(control)]);
  return Object.fromEntries(read.filter(([, value]) => value !== undefined));
}

function valueOf(control) {
  const { type, checked, value, dataset } = control;
  if (type === "fieldset") return ticks(control).filter((box) => box.checked).map((box) => JSON.parse(box.value));
  if (type === "checkbox") return checked;
  if (type === "select-one") return JSON.parse(value);
  if (value === "" && dataset.nullable) return null;
  if (value === "" && type !== "text") return undefined;
  return type === "number" ? Number(value) : value;
}

/** Numbers and dates that are none: the browser hides what was typed, so the server could not complain. */
export function unreadable(box) {
  const bad = [...controls(box)].filter((control) => control.validity.badInput);
  return bad.map(({ name, type }) => ({ field: name, message: `This is not a ${type}.` }));
}

/** Say what is wrong with a control, or nothing. */
function flag(control, message) {
  const marked = control.type === "fieldset" ? ticks(control) : [control];
  for (const one of marked) one.ariaInvalid = message ? "true" : null;
  document.getElementById(`${control.id}-error`).textContent = message;
}

/** Show errors at their fields and focus the first; returns those that belong to no field. */
export function mark(box, errors) {
  for (const control of controls(box)) {
    const mine = errors.filter((error) => error.field.split(".")[0] === control.name);
    flag(control, mine.map((error) => error.message).join(" "));
  }
  box.querySelector("[aria-invalid]")?.focus();
  return errors.filter((error) => !box.querySelector(`[name="${CSS.escape(error.field.split(".")[0])}"]`));
}
