// Formulas of the expression language, set as a textbook sets them.

import { h } from "./dom.js";

const TOKEN = /\s*(?:("[^"]*")|([\p{L}_][\p{L}\p{N}_]*)|(\d+\.?\d*(?:[eE][+-]?\d+)?)|(\*\*|<=|>=|==|!=|[-+*/()<>,=])|(.))/uy;
const SIGNS = { "*": "\u2009·\u2009", "-": " \u2212 ", "+": " + ", "/": "\u2009/\u2009", "<=": " ≤ ", ">=": " ≥ ", "==": " = ", "!=": " ≠ ", "<": " < ", ">": " > ", ",": ", ", "=": " = " };

/** The formula as nodes: variables in italics (or as `name` sets them), functions upright, powers raised. */
export function typeset(text, name = italic) {
  const tokens = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match && match[0] !== ""; match = TOKEN.exec(text)) {
    const [, quoted, name, number, sign, other] = match;
    tokens.push({ kind: quoted ? "quoted" : name ? "name" : number ? "number" : "sign", text: quoted ?? name ?? number ?? sign ?? other });
    if (TOKEN.lastIndex >= text.length) break;
  }
  return render(tokens, 0, tokens.length, name);
}

function italic(id) {
  return h("i", {}, id);
}

function render(tokens, start, end, name) {
  const out = [];
  for (let at = start; at < end; at += 1) {
    const { kind, text } = tokens[at];
    if (kind === "number") out.push(text);
    else if (kind === "quoted") out.push(name(text.slice(1, -1)));
    else if (kind === "name") out.push(tokens[at + 1]?.text === "(" ? text : text === "pi" ? "π" : name(text));
    else if (text === "**") {
      const stop = exponentEnd(tokens, at + 1);
      const bare = tokens[at + 1]?.text === "(" ? [at + 2, stop - 1] : [at + 1, stop];
      out.push(h("sup", {}, render(tokens, ...bare, name)));
      at = stop - 1;
    } else if (text === "-" && (at === start || ["(", ","].includes(tokens[at - 1].text) || (tokens[at - 1].kind === "sign" && tokens[at - 1].text !== ")"))) out.push("\u2212");
    else out.push(SIGNS[text] ?? text);
  }
  return out;
}

/** Where the operand of a power that begins at `at` ends. */
function exponentEnd(tokens, at) {
  if (tokens[at]?.text === "-") return exponentEnd(tokens, at + 1);
  if (tokens[at]?.kind === "name" && tokens[at + 1]?.text === "(") at += 1;
  if (tokens[at]?.text !== "(") return at + 1;
  let depth = 0;
  for (; at < tokens.length; at += 1) {
    if (tokens[at].text === "(") depth += 1;
    if (tokens[at].text === ")" && --depth === 0) return at + 1;
  }
  return at;
}
