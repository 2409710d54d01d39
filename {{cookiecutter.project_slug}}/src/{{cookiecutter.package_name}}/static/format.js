/** Values as a person reads them, in the browser's language. */

const whole = new Intl.NumberFormat();
const decimal = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const cents = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const small = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 });
const percent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });
const DATE = /^\d{4}-\d\d-\d\d(T\d\d:\d\d[\d:.]*)?$/;

export const isNumeric = (kind) => ["integer", "number", "percent"].includes(kind);
export const count = (number) => whole.format(number);
export const share = (fraction) => percent.format(fraction);

/** A value as its column or figure says: `kind`, `decimals`, `unit`; `broken` asks for two decimals. */
export function format(value, look) {
  if (value === null) return "";
  if (typeof value === "boolean") return value ? "Yes" : "No";
  if (typeof value === "number") return number(value, look) + (look.unit && `\u00a0${look.unit}`);
  return look.kind === "date" || look.kind === "datetime" ? date(value, look.kind) : value;
}

function number(value, { kind, decimals, broken }) {
  if (decimals !== null) return fixed(value, decimals, kind === "percent" ? "percent" : "decimal");
  if (kind === "percent") return percent.format(value);
  if (value && Math.abs(value) < 0.1) return small.format(value);
  return (broken ? cents : decimal).format(value);
}

function fixed(value, digits, style) {
  const places = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(undefined, { style, ...places }).format(value);
}

/** A date as it was written: read and shown in UTC, no zone moves it. What is none is shown as it is. */
function date(value, kind) {
  if (!DATE.test(value)) return value;
  const timed = value.length > 10;
  const parsed = new Date(timed ? `${value}Z` : value);
  // There is no 30 February, and browsers that do not mind take it for the second of March.
  if (isNaN(parsed) || parsed.toISOString().slice(0, 10) !== value.slice(0, 10)) return value;
  return (timed && kind === "datetime" ? moment : day).format(parsed);
}
