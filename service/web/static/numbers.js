// Numbers as they cross the wire, and as people read them.

const SPECIAL = { NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity };

/** A number of the service's JSON: non-finite ones are strings there. */
export function fromWire(value) {
  return typeof value === "string" ? SPECIAL[value] : value;
}

export function toWire(value) {
  return Number.isFinite(value) ? value : String(value);
}

/** Four decimals, as in the lecture; digits and an exponent where those would show nothing or run too long. */
export function decimals(value) {
  if (!Number.isFinite(value)) return sign(String(value));
  const size = Math.abs(value);
  return sign(value === 0 || (size >= 5e-5 && size < 1e5) ? value.toFixed(4) : value.toExponential(3));
}

/** A few significant digits, and a point where the number is whole. */
export function brief(value, digits = 6) {
  if (!Number.isFinite(value)) return sign(String(value));
  const rounded = Number(value.toPrecision(digits));
  // As Python writes it: an exponent below a ten-thousandth.
  const text = rounded !== 0 && Math.abs(rounded) < 1e-4 ? rounded.toExponential() : String(rounded);
  return sign(/[.e]/.test(text) ? text : `${text}.0`);
}

/** All digits there are. */
export function exact(value) {
  return sign(Object.is(value, -0) ? "-0.0" : Number.isFinite(value) && Number.isInteger(value) && Math.abs(value) < 1e15 ? `${value}.0` : String(value));
}

/** A true minus, as wide as a digit. */
function sign(text) {
  return text.replaceAll("-", "\u2212");
}

/** The sum of no, one or many finite sizes: the largest, which gets the strongest colour. */
export function largest(values) {
  let most = 0;
  for (const value of values) if (Number.isFinite(value) && Math.abs(value) > most) most = Math.abs(value);
  return most;
}
