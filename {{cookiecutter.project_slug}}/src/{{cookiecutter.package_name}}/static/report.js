/** Shows a report: its notes, its tables, and bars for a table that has a chart. */

const whole = new Intl.NumberFormat();
const decimal = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
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

/** Show a report in the elements for its title, its notes and its tables. */
export function showReport(report, { title, notes, tables }) {
  title.textContent = report.title;
  notes.replaceChildren(...report.notes.map((note) => el("li", { textContent: note })));
  tables.replaceChildren(...report.tables.map(section));
}

function section(table, index) {
  const bars = table.chart ? chart(table) : "";
  const foot = el("p", { className: "muted", textContent: count(table) });
  return el("section", { className: "card" }, bars, grid(table, `table-${index}`), foot);
}

function count({ rows, row_count }) {
  const all = `${whole.format(row_count)} ${row_count === 1 ? "row" : "rows"}`;
  if (rows.length === row_count) return all;
  return `Showing ${whole.format(rows.length)} of ${all}. The workbook has them all.`;
}

// Tables

function grid({ name, columns, rows }, id) {
  const head = columns.map(({ name, kind }) => el("th", { scope: "col", textContent: name, className: align(kind) }));
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
    const { kind } = columns[i];
    const className = typeof value === "number" ? "number" : align(kind);
    return el("td", { textContent: format(value, kind), className });
  };
  return el("tr", {}, ...cells.map(cell));
}

const align = (kind) => (["integer", "number", "percent"].includes(kind) ? "number" : "");

/** A cell as a person reads it, in the browser's language. */
function format(value, kind) {
  if (value === null) return "";
  if (typeof value === "boolean") return value ? "Yes" : "No";
  if (typeof value === "number") return number(value, kind);
  return kind === "date" || kind === "datetime" ? date(value, kind) : value;
}

function number(value, kind) {
  if (kind === "percent") return percent.format(value);
  if (Number.isInteger(value)) return whole.format(value);
  return (Math.abs(value) < 1 ? small : decimal).format(value);
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
    const text = format(cells[label], columns[label].kind) || "(empty)";
    return bar(text, cells[value], columns[value].kind, low, high - low || 1);
  });
  return el("figure", {}, el("figcaption", { textContent: title }), el("ul", { className: "bars" }, ...bars));
}

/** One bar on an axis from `low` that is `span` long, so that negative values grow to the left of zero. */
function bar(text, value, kind, low, span) {
  const line = el("span", { className: value < 0 ? "bar negative" : "bar" });
  line.style.marginInlineStart = `${(100 * (Math.min(value, 0) - low)) / span}%`;
  line.style.inlineSize = `${(100 * Math.abs(value)) / span}%`;
  return el(
    "li",
    {},
    el("bdi", { textContent: text }),
    el("span", { className: "track" }, line),
    el("span", { className: "number", textContent: format(value, kind) }),
  );
}
