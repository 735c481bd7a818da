// Where everything of a drawing goes: sizes from the page's own fonts, places from Graphviz.

import { brief } from "./numbers.js";

const PATIENCE = 6000;
export const MOST_NODES = 300;

export const ROW = 30;
const CELL = 102;
const LABEL_MOST = 230;
const PADDING = 11;

const ruler = document.createElement("canvas").getContext("2d");

function widthOf(text, font) {
  ruler.font = font;
  return ruler.measureText(text).width;
}

const FAMILY = '"STIX Two Text", Georgia, serif';
const LABEL_FONT = `italic 16px ${FAMILY}`;
const SIGN_FONT = `15px ${FAMILY}`;
export const FONTS = [LABEL_FONT, SIGN_FONT];

/** The graph document as things to draw: nodes with their kind, sign and operands, by position. */
export function structureOf(graph, signs) {
  const position = new Map(graph.nodes.map((node, index) => [node.id, index]));
  const outputs = new Set(graph.outputs);
  return graph.nodes.map((node) => {
    const leaf = node.op === "input" || node.op === "constant";
    const label = visible(node.label ?? node.id);
    const labelWidth = Math.min(Math.max(widthOf(label, LABEL_FONT), 12), LABEL_MOST) + 2 * PADDING;
    const constant = node.op === "constant";
    return {
      id: node.id,
      label: clipped(label),
      op: leaf ? null : node.op,
      sign: leaf ? null : (signs.get(node.op) ?? node.op),
      kind: constant ? "constant" : outputs.has(node.id) ? "output" : node.op === "input" ? "input" : "inner",
      operands: (node.inputs ?? []).map((input) => (typeof input === "string" ? position.get(input) : { literal: input })),
      labelWidth,
      cells: constant ? 1 : 2,
      width: labelWidth + CELL * (constant ? 1 : 2),
    };
  });
}

/** Control characters and direction overrides would act on what surrounds a label; here they are only seen. */
export function visible(text) {
  return text
    .replace(/[\u0000-\u001f]/g, (character) => String.fromCharCode(0x2400 + character.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g, "\ufffd");
}

function clipped(label) {
  if (widthOf(label, LABEL_FONT) <= LABEL_MOST) return label;
  let text = [...label];
  while (text.length > 1 && widthOf(`${text.join("")}…`, LABEL_FONT) > LABEL_MOST) text = text.slice(0, -1);
  return `${text.join("")}…`;
}

export const CELL_WIDTH = CELL;

function signWidth(sign) {
  return Math.max(widthOf(sign, SIGN_FONT) + 16, 28);
}

/** The dot text: boxes of fixed sizes without a word in them, so that no label can mean anything to Graphviz. */
function dotOf(nodes) {
  const inches = (pixels) => (pixels / 72).toFixed(4);
  const lines = ['digraph { graph [rankdir=LR, ordering=in, nodesep=0.22, ranksep=0.3, nslimit=4, nslimit1=4, mclimit=0.6];',
    'node [shape=box, fixedsize=true, label=""]; edge [arrowhead=none];'];
  nodes.forEach((node, k) => {
    lines.push(`n${k} [width=${inches(node.width)}, height=${inches(ROW)}];`);
    if (node.op === null) return;
    lines.push(`o${k} [shape=ellipse, width=${inches(signWidth(node.sign))}, height=${inches(28)}]; o${k} -> n${k} [id="r${k}", weight=4];`);
    node.operands.forEach((operand, place) => {
      if (typeof operand === "number") {
        lines.push(`n${operand} -> o${k} [id="e${k}_${place}"];`);
      } else {
        lines.push(`l${k}_${place} [width=${inches(literalText(operand.literal).length * 8 + 4)}, height=0.3];`);
        lines.push(`l${k}_${place} -> o${k} [id="e${k}_${place}"];`);
      }
    });
  });
  return [...lines, "}"].join("\n");
}

export function literalText(value) {
  return brief(value).replace(/\.0$/, "");
}

let worker = null;
let known = { dot: null, layout: null };

function inWorker(dot) {
  return new Promise((resolve, reject) => {
    worker ??= new Worker(new URL("./layout-worker.js", import.meta.url));
    const giveUp = (problem) => {
      worker?.terminate();
      worker = null;
      reject(new Error(problem));
    };
    const timer = setTimeout(() => giveUp("No layout was found within 6 seconds."), PATIENCE);
    worker.onmessage = ({ data }) => {
      clearTimeout(timer);
      if (data.problem) reject(new Error(data.problem));
      else resolve(data.layout);
    };
    worker.onerror = () => {
      clearTimeout(timer);
      giveUp("The drawing program could not be loaded.");
    };
  });
}

/** Starts loading Graphviz, so that the first drawing need not wait for all of it. */
export function warmUp() {
  worker ??= new Worker(new URL("./layout-worker.js", import.meta.url));
}

/** Places for everything: {width, height, boxes, signs, literals, edges}, y downward, in pixels. */
export async function layOut(nodes) {
  const dot = dotOf(nodes);
  if (known.dot === dot) return known.layout;
  const waiting = inWorker(dot);
  worker.postMessage(dot);
  const layout = read(await waiting);
  known = { dot, layout };
  return layout;
}

function read(json) {
  const [, , width, height] = json.bb.split(",").map(Number);
  const flip = ([x, y]) => [x, height - y];
  const places = new Map((json.objects ?? []).map((object) => [object.name, { at: flip(object.pos.split(",").map(Number)), width: Number(object.width) * 72 }]));
  const edges = new Map((json.edges ?? []).map((edge) => [edge.id, edge.pos.replace(/[es],\S+ /g, "").split(" ").map((point) => flip(point.split(",").map(Number)))]));
  return { width, height, places, edges };
}
