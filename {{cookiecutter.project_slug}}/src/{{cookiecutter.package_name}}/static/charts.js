/** Draws a table's chart: bars, lines or a pie. What a drawing shows is also there as text. */

import { el, svg } from "./elements.js";
import { format, share } from "./format.js";

const TONES = 8; // as many as the style sheet has

/** The figure for a table, or nothing if there is nothing to draw. */
export function chart({ chart: { kind, title, labels, values, limit }, columns, rows }) {
  const at = (name) => columns.findIndex((column) => column.name === name);
  const label = columns[at(labels)];
  const series = values.map((name, tone) => ({ ...columns[at(name)], at: at(name), tone: tone % TONES }));
  const shown = rows.slice(0, limit).map((cells) => ({
    label: format(cells[at(labels)], label) || "(empty)",
    values: series.map((one) => (typeof cells[one.at] === "number" ? cells[one.at] : null)),
  }));
  const drawn = shown.filter((row) => row.values.some((value) => value !== null));
  if (!drawn.length) return "";
  const parts = { bar: bars, line: lines, pie }[kind](kind === "line" ? shown : drawn, series);
  return el("figure", { className: `${kind}-chart` }, el("figcaption", { textContent: title }), ...parts);
}

const sizes = (rows) => rows.flatMap((row) => row.values.filter((value) => value !== null));

/** What the colours stand for; one needs no telling. */
function legend(series) {
  if (series.length < 2) return [];
  const item = ({ name, tone }) => el("li", {}, swatch(tone), el("bdi", { textContent: name }));
  return [el("ul", { className: "legend" }, ...series.map(item))];
}

const swatch = (tone) => el("span", { className: `swatch tone-${tone}` });

// Bars

function bars(rows, series) {
  const all = sizes(rows);
  const [low, high] = [Math.min(0, ...all), Math.max(0, ...all)];
  const several = series.length > 1;
  const lines = rows.flatMap((row) =>
    series.map((one, i) => row.values[i] !== null && bar(row, one, i, low, high - low || 1, several)).filter(Boolean),
  );
  return [...legend(series), el("ul", { className: "bars" }, ...lines)];
}

/** One bar on an axis from `low` that is `span` long, so that negative values grow to the left of zero. */
function bar({ label, values }, one, i, low, span, several) {
  const value = values[i];
  const tone = several ? ` tone-${one.tone}` : "";
  const line = el("span", { className: `bar${tone}${value < 0 && !several ? " negative" : ""}` });
  line.style.marginInlineStart = `${(100 * (Math.min(value, 0) - low)) / span}%`;
  line.style.inlineSize = `${(100 * Math.abs(value)) / span}%`;
  const name = several ? [el("span", { className: "unseen", textContent: `, ${one.name}` })] : [];
  return el(
    "li",
    {},
    el("span", {}, el("bdi", { textContent: several && i ? "" : label }), ...name),
    el("span", { className: "track" }, line),
    el("span", { className: "number", textContent: format(value, one) }),
  );
}

// Lines

function lines(rows, series) {
  const all = sizes(rows);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const x = (i) => (rows.length > 1 ? (100 * i) / (rows.length - 1) : 50);
  const y = (value) => (high > low ? (100 * (high - value)) / (high - low) : 50);
  const zero = low < 0 && high > 0 ? [svg("path", { class: "zero", d: `M0 ${y(0)}H100` })] : [];
  const paths = series.flatMap(({ tone }, i) => {
    const { line, dots } = path(rows, i, x, y);
    return [svg("path", { class: `tone-${tone}`, d: line }), svg("path", { class: `dot tone-${tone}`, d: dots })];
  });
  const drawing = svg(
    "svg",
    { viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img", "aria-label": told(rows, series) },
    ...zero,
    ...paths,
  );
  const edge = (text) => el("span", { textContent: text, ariaHidden: "true" });
  const look = common(series);
  const scale = el("p", { className: "scale" }, edge(format(high, look)), edge(format(low, look)));
  const ends = el("p", { className: "ends" }, edge(rows[0].label), edge(rows.at(-1).label));
  return [...legend(series), el("div", { className: "plot" }, scale, drawing, ends)];
}

/** How numbers on an axis look that is shared by several columns: plain, unless they agree. */
function common([first, ...others]) {
  const agree = others.every(({ kind, unit }) => kind === first.kind && unit === first.unit);
  return agree ? first : { kind: "number", decimals: null, unit: "" };
}

/** A line from point to point; where a number is missing it breaks off, and one alone is a dot. */
function path(rows, i, x, y) {
  const has = (at) => (rows[at]?.values[i] ?? null) !== null;
  let [line, dots] = ["", ""];
  rows.forEach(({ values }, at) => {
    if (!has(at)) return;
    const point = `${x(at)} ${y(values[i])}`;
    if (has(at - 1)) line += `L${point}`;
    else if (has(at + 1)) line += `M${point}`;
    else dots += `M${point}h0`;
  });
  return { line, dots };
}

/** A line in words: where it begins and ends, and how far down and up it goes. */
function told(rows, series) {
  const one = (column, i) => {
    const points = rows.filter((row) => row.values[i] !== null);
    if (!points.length) return `${column.name}: no numbers`;
    const by = (sign) => points.reduce((best, row) => (sign * (row.values[i] - best.values[i]) > 0 ? row : best));
    const say = (row) => `${format(row.values[i], column)} (${row.label})`;
    const [first, last] = [points[0], points.at(-1)];
    return `${column.name}: from ${say(first)} to ${say(last)}, lowest ${say(by(-1))}, highest ${say(by(1))}`;
  };
  return series.map(one).join(". ");
}

// Pies

function pie(rows, [column]) {
  const whole = rows.reduce((sum, { values: [value] }) => sum + value, 0) || 1;
  let before = 0;
  const slices = rows.map(({ values: [value] }, i) => {
    const part = (100 * value) / whole;
    const ring = { class: `tone-${i % TONES}`, cx: 21, cy: 21, r: 15.9155, pathLength: 100 };
    const slice = svg("circle", { ...ring, "stroke-dasharray": `${part} ${100 - part}`, "stroke-dashoffset": -before });
    before += part;
    return slice;
  });
  const items = rows.map(({ label, values: [value] }, i) =>
    el(
      "li",
      {},
      swatch(i % TONES),
      el("bdi", { textContent: label }),
      el("span", { className: "number", textContent: format(value, column) }),
      el("span", { className: "number", textContent: share(value / whole) }),
    ),
  );
  const drawing = svg("svg", { viewBox: "0 0 42 42", "aria-hidden": "true" }, ...slices);
  return [el("div", { className: "slices" }, drawing, el("ul", { className: "bars" }, ...items))];
}
