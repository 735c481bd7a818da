// Small plots: lines over a common horizontal axis, and a plane coloured by a function of two inputs.

import { s } from "./dom.js";
import { brief } from "./numbers.js";

const LEFT = 46;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 24;

/** Lines [{points: [[x, y]], className, label}]; points that are no number leave a gap. */
export function linePlot(lines, { width, height, label, zero = false }) {
  const finite = lines.flatMap((line) => line.points).filter(([, y]) => Number.isFinite(y));
  const xs = lines.flatMap((line) => line.points.map(([x]) => x));
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  let [y0, y1] = finite.length ? span(finite.map(([, y]) => y)) : [0, 1];
  if (zero) [y0, y1] = [Math.min(y0, 0), Math.max(y1, 0)];
  if (y0 === y1) [y0, y1] = [y0 - 1, y1 + 1];
  const px = (x) => LEFT + ((x - x0) / (x1 - x0 || 1)) * (width - LEFT - RIGHT);
  const py = (y) => TOP + ((y1 - Math.min(Math.max(y, y0 - (y1 - y0)), y1 + (y1 - y0))) / (y1 - y0)) * (height - TOP - BOTTOM);
  const clip = `clip-${Math.random().toString(36).slice(2)}`;
  const plot = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, class: "plot", role: "img", "aria-label": label });
  plot.append(s("clipPath", { id: clip }, s("rect", { x: LEFT, y: TOP, width: width - LEFT - RIGHT, height: height - TOP - BOTTOM })));
  if (y0 < 0 && y1 > 0) plot.append(s("line", { x1: LEFT, x2: width - RIGHT, y1: py(0), y2: py(0), class: "axis" }));
  if (x0 < 0 && x1 > 0) plot.append(s("line", { y1: TOP, y2: height - BOTTOM, x1: px(0), x2: px(0), class: "axis" }));
  plot.append(s("path", { d: `M${LEFT} ${TOP}V${height - BOTTOM}H${width - RIGHT}`, class: "frame" }));
  for (const [y, at] of [[y0, height - BOTTOM], [y1, TOP + 8]]) plot.append(s("text", { x: LEFT - 5, y: at, "text-anchor": "end" }, brief(tidy(y))));
  for (const [x, anchor] of [[x0, "start"], [x1, "end"]]) plot.append(s("text", { x: px(x), y: height - 8, "text-anchor": anchor }, brief(tidy(x)).replace(/\.0$/, "")));
  for (const line of lines) plot.append(s("path", { d: trace(line.points, px, py), class: `line ${line.className}`, "clip-path": `url(#${clip})` }));
  return plot;
}

function trace(points, px, py) {
  let pen = "M";
  const parts = [];
  for (const [x, y] of points) {
    if (!Number.isFinite(y)) {
      pen = "M";
      continue;
    }
    parts.push(`${pen}${px(x).toFixed(2)} ${py(y).toFixed(2)}`);
    pen = "L";
  }
  return parts.join("");
}

/** The range most values lie in: one pole must not flatten all the rest. */
function span(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const [low, high] = [at(0.04), at(0.96)];
  const room = (high - low) * 1.5 || 1;
  return [Math.max(sorted[0], low - room), Math.min(sorted.at(-1), high + room)];
}

function tidy(value) {
  return Number(value.toPrecision(3));
}

/** A canvas of `side` pixels: the sign and size of `values` (grid by grid, rows from the bottom), and points on it. */
export function planePlot(values, grid, points, [x0, x1], [y0, y1], { side, label }) {
  const ratio = window.devicePixelRatio || 1;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side * ratio;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  canvas.className = "plane";
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const most = Math.max(...values.map((value) => (Number.isFinite(value) ? Math.abs(value) : 0))) || 1;
  const cell = side / grid;
  values.forEach((value, k) => {
    context.globalAlpha = 0.15 + 0.6 * Math.min(Math.sqrt(Math.abs(value) / most), 1);
    context.fillStyle = colour(value > 0 ? "--positive" : "--negative");
    // On whole pixels, so that no seam shows between two of them.
    const [left, right] = [k % grid, (k % grid) + 1].map((column) => Math.round(column * cell * ratio) / ratio);
    const [top, bottom] = [grid - 1 - Math.floor(k / grid), grid - Math.floor(k / grid)].map((row) => Math.round(row * cell * ratio) / ratio);
    context.fillRect(left, top, right - left, bottom - top);
  });
  context.globalAlpha = 1;
  for (const { x, y, positive } of points) {
    const [px, py] = [((x - x0) / (x1 - x0)) * side, side - ((y - y0) / (y1 - y0)) * side];
    context.beginPath();
    // Two shapes, so that the classes are told apart without colour.
    if (positive) context.arc(px, py, 3.4, 0, 2 * Math.PI);
    else context.rect(px - 3, py - 3, 6, 6);
    context.fillStyle = colour(positive ? "--plus" : "--minus");
    context.fill();
    context.strokeStyle = colour("--panel");
    context.stroke();
  }
  return canvas;
}
