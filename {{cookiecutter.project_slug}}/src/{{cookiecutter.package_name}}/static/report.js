/** Shows a report: its key figures, warnings and notes, its files, and its tables with their charts. */

import { get, recall, remember } from "./api.js";
import { chart } from "./charts.js";
import { bytes, el } from "./elements.js";
import { count, format, isNumeric } from "./format.js";

document.head.append(el("link", { rel: "stylesheet", href: new URL("report.css", import.meta.url) }));

/** The way back from the options, while the report that is shown there is the one that is there. */
const back = el("button", { type: "button", textContent: "Back to the report" });
back.dataset.in = "ready";

/** Show the report that is there, unless the page says that it is `late`: then it shows another state. */
export async function open(show, late) {
  const found = await get("report").catch((error) => error);
  if (late()) return;
  if (found instanceof Error) {
    if (found.status !== 410) show("ready"); // so that it can be made again
    throw found;
  }
  showReport(found);
  back.onclick = () => show("done");
  document.getElementById("process").after(back);
  show("done");
}

/** Show a report in the elements that the page has for its parts. */
function showReport({ title, figures, warnings, notes, workbook, files, tables }) {
  const $ = (id) => document.getElementById(id);
  const texts = (some) => some.map((text) => el("li", { textContent: text }));
  $("title").textContent = title;
  $("figures").replaceChildren(...figures.map(figure));
  $("warnings").replaceChildren(...texts(warnings));
  $("notes").replaceChildren(...texts(notes));
  $("workbook").hidden = !workbook;
  $("all").hidden = files.length + workbook < 2;
  $("attached").replaceChildren(...files.map(file));
  $("tables").replaceChildren(...tables.map(section));
}

/** The part of the page that shows reviews; it comes with the first of them. */
let reviews;

/** The page has another job, or none: let it have its review, or none if there is no id. */
export async function reviewed(id, page) {
  back.remove();
  if (id) reviews ??= page.module("review");
  else if (recall().corrected) remember({ corrected: 0 });
  const part = await reviews;
  part?.offer(id, page);
  return part;
}

function figure(shown) {
  const value = el("dd", { textContent: format(shown.value, shown) });
  return el("div", {}, el("dt", { textContent: shown.label }), value);
}

function file({ name, size }, index) {
  const button = el("button", { className: "quiet" }, "Download ", el("bdi", { textContent: name }));
  Object.assign(button.dataset, { do: "download", file: index });
  return el("li", {}, button, el("span", { textContent: bytes(size) }));
}

// Tables

function section(shown, index) {
  const table = { ...shown, columns: shown.columns.map((column, i) => ({ ...column, ...shape(shown, i) })) };
  const drawn = table.chart ? chart(table) : "";
  const foot = el("p", { className: "muted", textContent: extent(table) });
  return el("section", { className: "card" }, drawn, grid(table, `table-${index}`), foot);
}

/** How a column's cells look: its numbers to the right, and with as many decimals all the way down. */
function shape({ columns, rows }, i) {
  const { kind } = columns[i];
  const broken = kind === "number" && rows.some((cells) => typeof cells[i] === "number" && cells[i] % 1);
  return { className: isNumeric(kind) ? "number" : "", broken };
}

function extent({ rows, row_count }) {
  const all = `${count(row_count)} ${row_count === 1 ? "row" : "rows"}`;
  if (rows.length === row_count) return all;
  return `Showing ${count(rows.length)} of ${all}. The workbook has them all.`;
}

function grid({ name, columns, rows, totals }, id) {
  const head = columns.map(({ name, className }) => el("th", { scope: "col", textContent: name, className }));
  const table = el(
    "table",
    {},
    el("caption", { id, textContent: name }),
    el("thead", {}, el("tr", {}, ...head)),
    el("tbody", {}, ...rows.map((cells) => row(cells, columns))),
    totals ? el("tfoot", {}, row(totals, columns)) : "",
  );
  table.style.setProperty("--columns", columns.length); // on paper all of them have to find room
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
