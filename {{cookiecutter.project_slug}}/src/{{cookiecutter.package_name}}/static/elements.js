/** What all parts of the page share: elements, whose text is never markup, and sizes in words. */

/** An element with properties and children. */
export function el(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** An element of a drawing, with attributes and children. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function bytes(size) {
  const power = Math.min(3, Math.floor(Math.log10(size || 1) / 3));
  const unit = ["byte", "kilobyte", "megabyte", "gigabyte"][power];
  const options = { style: "unit", unit, unitDisplay: power ? "short" : "long", maximumFractionDigits: 1 };
  return new Intl.NumberFormat(undefined, options).format(size / 1000 ** power);
}
