// What is written in the editor, as a request to the service, and the service's errors as places in what is written.

import { JsonTextError, placeOf, places } from "./json-text.js";

const NUMBER = String.raw`[+-]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?`;
// `x = 2.0`, and the lecture's `x = Value(2.0, label="x")`.
const INPUT = new RegExp(
  String.raw`^(\s*)([\p{L}_][\p{L}\p{N}_]*)(\s*=\s*)(?:(${NUMBER})|Value\(\s*(${NUMBER})\s*(?:,[^)]*)?\))\s*;?\s*(?:#.*)?$`,
  "u",
);

/** Reads a text: {form, body, data, unused, errors}; `body` is the members of a run request as JSON texts by name. */
export function read(text) {
  return /^\s*[{[]/.test(text) ? readJson(text) : readExpression(text);
}

function readExpression(text) {
  const data = {};
  const rows = new Map();
  let offset = 0;
  const lines = text.split("\n").map((line) => {
    const start = offset;
    offset += line.length + 1;
    const match = INPUT.exec(line);
    if (!match || match[2] in data) return line;
    const number = match[4] ?? match[5];
    const value = Number(number.replaceAll("_", ""));
    if (!Number.isFinite(value)) return line;
    data[match[2]] = value;
    const first = start + line.indexOf(number, match[1].length + match[2].length + match[3].length);
    rows.set(match[2], [first, first + number.length]);
    return "";
  });
  const expression = lines.join("\n");
  const code = expression.replace(/#.*$/gm, "");
  const words = new Set(code.match(/[\p{L}_][\p{L}\p{N}_]*/gu) ?? []);
  const unused = Object.keys(data).filter((name) => !words.has(name));
  const used = Object.fromEntries(Object.entries(data).filter(([name]) => words.has(name)));
  const starts = lineStarts(text);
  return {
    form: "expression",
    empty: code.trim() === "",
    body: { graph: JSON.stringify({ expression, data: used }) },
    unused,
    errors: [],
    inputPlace: (name) => rows.get(name) ?? null,
    place(error) {
      if (error.line) {
        const start = (starts[error.line - 1] ?? text.length) + Math.max((error.column ?? 1) - 1, 0);
        return widen(text, start);
      }
      const name = /^(?:\/graph\/data|\/inputs)\/(.*)$/.exec(error.pointer ?? "")?.[1];
      if (name && rows.has(name)) return rows.get(name);
      const word = name && text.search(new RegExp(String.raw`(?<![\p{L}\p{N}_])${name}(?![\p{L}\p{N}_])`, "u"));
      return word >= 0 && name ? [word, word + name.length] : null;
    },
  };
}

function lineStarts(text) {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

/** From an offset to the end of the word or sign there, and at least one character of the line. */
function widen(text, start) {
  const rest = text.slice(start).split("\n", 1)[0];
  if (rest === "") return [Math.max(start - 1, 0), start];
  const word = /^[\p{L}\p{N}_.]+/u.exec(rest)?.[0] ?? rest[0];
  return [start, start + word.length];
}

function readJson(text) {
  let found;
  try {
    found = places(text);
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    const place = [Math.min(error.offset, Math.max(text.length - 1, 0)), Math.min(error.offset + 1, text.length)];
    return { form: "json", empty: false, body: null, unused: [], errors: [{ detail: error.message, place }], inputPlace: () => null };
  }
  const document = JSON.parse(text);
  const whole = "graph" in document || "graph_id" in document;
  const body = whole
    ? Object.fromEntries(Object.keys(document).map((name) => [name, text.slice(...placeOf(found, `/${escape(name)}`))]))
    : { graph: text };
  return {
    form: "json",
    empty: false,
    body,
    unused: [],
    errors: [],
    inputPlace: () => null,
    place(error) {
      if (error.pointer === undefined) return null;
      return placeOf(found, whole ? error.pointer : error.pointer.replace(/^\/graph/, ""));
    },
  };
}

function escape(name) {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** A request's JSON text from its members' JSON texts, some of them replaced; null leaves a member out. */
export function requestText(body, members = {}) {
  const all = { ...body };
  for (const [name, value] of Object.entries(members)) {
    if (value === null) delete all[name];
    else all[name] = JSON.stringify(value);
  }
  return `{${Object.entries(all).map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(",")}}`;
}

/** An expression document as the text a person would write: inputs as lines in front. */
export function writeExpression({ expression, data }) {
  const inputs = Object.entries(data ?? {}).map(([name, value]) => `${name} = ${numberText(value)}`);
  return [...inputs, ...(inputs.length ? [""] : []), expression].join("\n");
}

export function numberText(value) {
  return Number.isInteger(value) && Math.abs(value) < 1e15 ? `${value}.0` : String(value);
}
