/** Values as a person reads them, in the browser's language. */

const whole = new Intl.NumberFormat();
const decimal = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const cents = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const small = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 });
const percent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

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

function date(value, kind) {
  // Without a time a date would be read as UTC, and shown as the day before west of it.
  const parsed = new Date(kind === "date" ? `${value.slice(0, 10)}T00:00` : value);
  return isNaN(parsed) ? value : (kind === "date" ? day : moment).format(parsed);
}
