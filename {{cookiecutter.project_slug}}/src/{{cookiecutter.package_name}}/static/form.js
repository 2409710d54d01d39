/** A form from the JSON Schema of the options: text, numbers, yes or no, and choices. */

import { el } from "./elements.js";

/** The schema of one option, with `$ref` and "or null" resolved. */
function resolve(schema, property) {
  const ref = property.$ref ?? property.allOf?.[0].$ref;
  const target = ref ? { ...schema.$defs[ref.split("/").pop()], ...property } : property;
  const other = target.anyOf?.find((one) => one.type !== "null");
  return other ? { ...resolve(schema, other), ...target, nullable: true } : target;
}

function choices(option) {
  const values = option.enum ?? [option.const];
  const blank = option.nullable ? [new Option("", "null")] : [];
  return el("select", {}, ...blank, ...values.map((value) => new Option(value, JSON.stringify(value))));
}

function input(option) {
  if (option.type === "boolean") return el("input", { type: "checkbox", defaultChecked: option.default === true });
  const numeric = ["integer", "number"].includes(option.type);
  const types = { date: "date", time: "time", email: "email" };
  return el("input", {
    type: numeric ? "number" : types[option.format] ?? "text",
    step: option.type === "integer" ? "1" : "any",
    min: option.minimum ?? option.exclusiveMinimum ?? "",
    max: option.maximum ?? option.exclusiveMaximum ?? "",
    placeholder: option.default ?? "",
    autocomplete: "off",
  });
}

function field(name, option) {
  const control = option.enum || "const" in option ? choices(option) : input(option);
  const id = `option-${name}`;
  Object.assign(control, { id, name });
  Object.assign(control.dataset, { type: option.type ?? "", nullable: option.nullable ?? "" });
  control.setAttribute("aria-describedby", `${id}-help ${id}-error`);
  const label = el("label", { htmlFor: id, textContent: option.title ?? name });
  const help = el("p", { id: `${id}-help`, className: "muted", textContent: option.description ?? "" });
  const error = el("p", { id: `${id}-error`, className: "error" });
  return el("div", { className: control.type === "checkbox" ? "field check" : "field" }, label, control, help, error);
}

/** Build the fields in `box`, filled with the defaults. */
export function build(box, schema) {
  const options = Object.entries(schema.properties ?? {}).map(([name, one]) => [name, resolve(schema, one)]);
  box.replaceChildren(...options.map(([name, option]) => field(name, option)));
  fill(box, Object.fromEntries(options.map(([name, option]) => [name, option.default])));
}

const controls = (box) => box.querySelectorAll("[name]");

/** Put values in; what the form does not know, or does not offer, is left alone. */
export function fill(box, values) {
  for (const control of controls(box)) {
    const value = values[control.name];
    if (value === undefined) continue;
    if (control.type === "checkbox") control.checked = value === true;
    else if (control.type !== "select-one") control.value = value ?? "";
    else if ([...control.options].some((one) => one.value === JSON.stringify(value))) control.value = JSON.stringify(value);
  }
}

/** What to send; an empty number is left out, so that its default holds. */
export function values(box) {
  const read = [...controls(box)].map((control) => [control.name, valueOf(control)]);
  return Object.fromEntries(read.filter(([, value]) => value !== undefined));
}

function valueOf({ type, checked, value, dataset }) {
  if (type === "checkbox") return checked;
  if (type === "select-one") return JSON.parse(value);
  if (value === "" && dataset.nullable) return null;
  if (type !== "number") return value;
  return value === "" ? undefined : Number(value);
}

/** Numbers that are none: the browser hides what was typed, so the server could not complain. */
export function unreadable(box) {
  const bad = [...controls(box)].filter((control) => control.validity.badInput);
  return bad.map((control) => ({ field: control.name, message: "This is not a number." }));
}

/** Show errors at their fields and focus the first; returns those that belong to no field. */
export function mark(box, errors) {
  for (const control of controls(box)) {
    const mine = errors.filter((error) => error.field === control.name);
    control.ariaInvalid = mine.length ? "true" : null;
    document.getElementById(`${control.id}-error`).textContent = mine.map((error) => error.message).join(" ");
  }
  box.querySelector("[aria-invalid]")?.focus();
  return errors.filter((error) => !box.querySelector(`[name="${CSS.escape(error.field)}"]`));
}
