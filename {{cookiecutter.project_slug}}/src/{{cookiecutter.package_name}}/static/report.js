/** Shows a report: its notes, its tables, and bars for a table that has a chart. */

const whole = new Intl.NumberFormat();
const decimal = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const cents = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const small = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 });
const percent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** An element with properties and children; text is set as text, never as markup. */
export function el(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Show a report in the elements that the page has for its title, its notes and its tables. */
export function showReport({ title, notes, tables }) {
  const $ = (id) => document.getElementById(id);
  $("title").textContent = title;
  $("notes").replaceChildren(...notes.map((note) => el("li", { textContent: note })));
  $("tables").replaceChildren(...tables.map(section));
}

function section(shown, index) {
  const table = { ...shown, columns: shown.columns.map((column, i) => ({ ...column, ...shape(shown, i) })) };
  const bars = table.chart ? chart(table) : "";
  const foot = el("p", { className: "muted", textContent: count(table) });
  return el("section", { className: "card" }, bars, grid(table, `table-${index}`), foot);
}

/** How a column's cells look: its numbers to the right, and with as many decimals all the way down. */
function shape({ columns, rows }, i) {
  const { kind } = columns[i];
  const broken = kind === "number" && rows.some((cells) => typeof cells[i] === "number" && cells[i] % 1);
  return { className: ["integer", "number", "percent"].includes(kind) ? "number" : "", broken };
}

function count({ rows, row_count }) {
  const all = `${whole.format(row_count)} ${row_count === 1 ? "row" : "rows"}`;
  if (rows.length === row_count) return all;
  return `Showing ${whole.format(rows.length)} of ${all}. The workbook has them all.`;
}

// Tables

function grid({ name, columns, rows }, id) {
  const head = columns.map(({ name, className }) => el("th", { scope: "col", textContent: name, className }));
  const table = el(
    "table",
    {},
    el("caption", { id, textContent: name }),
    el("thead", {}, el("tr", {}, ...head)),
    el("tbody", {}, ...rows.map((cells) => row(cells, columns))),
  );
  const box = el("div", { className: "scroll", tabIndex: 0, role: "region" }, table);
  box.setAttribute("aria-labelledby", id);
  return box;
}

function row(cells, columns) {
  const cell = (value, i) => {
    const className = typeof value === "number" ? "number" : columns[i].className;
    return el("td", { textContent: format(value, columns[i]), className });
  };
  return el("tr", {}, ...cells.map(cell));
}

/** A cell as a person reads it, in the browser's language. */
function format(value, { kind, broken }) {
  if (value === null) return "";
  if (typeof value === "boolean") return value ? "Yes" : "No";
  if (typeof value === "number") return number(value, kind, broken);
  return kind === "date" || kind === "datetime" ? date(value, kind) : value;
}

function number(value, kind, broken) {
  if (kind === "percent") return percent.format(value);
  if (value && Math.abs(value) < 0.1) return small.format(value);
  return (broken ? cents : decimal).format(value);
}

function date(value, kind) {
  // Without a time a date would be read as UTC, and shown as the day before west of it.
  const parsed = new Date(kind === "date" ? `${value.slice(0, 10)}T00:00` : value);
  return isNaN(parsed) ? value : (kind === "date" ? day : moment).format(parsed);
}

// Bars

function chart({ chart: { title, labels, values, limit }, columns, rows }) {
  const at = (name) => columns.findIndex((column) => column.name === name);
  const [label, value] = [at(labels), at(values)];
  const shown = rows.filter((cells) => typeof cells[value] === "number").slice(0, limit);
  if (!shown.length) return "";
  const sizes = shown.map((cells) => cells[value]);
  const [low, high] = [Math.min(0, ...sizes), Math.max(0, ...sizes)];
  const bars = shown.map((cells) => {
    const text = format(cells[label], columns[label]) || "(empty)";
    return bar(text, cells[value], format(cells[value], columns[value]), low, high - low || 1);
  });
  return el("figure", {}, el("figcaption", { textContent: title }), el("ul", { className: "bars" }, ...bars));
}

/** One bar on an axis from `low` that is `span` long, so that negative values grow to the left of zero. */
function bar(label, value, text, low, span) {
  const line = el("span", { className: value < 0 ? "bar negative" : "bar" });
  line.style.marginInlineStart = `${(100 * (Math.min(value, 0) - low)) / span}%`;
  line.style.inlineSize = `${(100 * Math.abs(value)) / span}%`;
  return el(
    "li",
    {},
    el("bdi", { textContent: label }),
    el("span", { className: "track" }, line),
    el("span", { className: "number", textContent: text }),
  );
}
