// What a stored run answers beyond the values and gradients that the drawing shows.

import { h } from "./dom.js";
import { brief, decimals, fromWire } from "./numbers.js";
import { linePlot } from "./plot.js";

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "medium" });

export function showResult(place, run) {
  const facts = [`${run.kind} run`, run.state, WHEN.format(new Date(run.created_at))];
  place.replaceChildren(
    h("p", { class: "hint" }, `Stored ${facts.join(" · ")}`),
    run.error ? h("p", { class: "problem" }, run.error.detail) : "",
    run.nonsmooth?.length ? h("p", { class: "hint" }, `On a kink, where the gradient is a convention: ${run.nonsmooth.join(", ")}.`) : "",
    run.disconnected?.length ? h("p", { class: "hint" }, `Reaching no output: ${run.disconnected.join(", ")}.`) : "",
    run.nonfinite ? h("p", { class: "hint" }, `No longer finite from here on: ${[...new Set(Object.values(run.nonfinite).filter((node) => typeof node === "string"))].join(", ")}.`) : "",
    ...own(run),
  );
}

function own(run) {
  if (run.history) {
    const points = run.history.objective.map((value, k) => [run.history.step?.[k] ?? k, fromWire(value)]);
    return points.length > 1 ? [linePlot([{ points, className: "value" }], { width: 460, height: 220, label: "The objective by step" })] : [];
  }
  const matrix = run.jacobian ?? (run.hessian && { rows: run.hessian.wrt, columns: run.hessian.wrt, matrix: run.hessian.matrix });
  if (matrix) {
    return [table(["d / d", ...matrix.columns], matrix.matrix.map((row, k) => [matrix.rows[k], ...row.map((value) => decimals(fromWire(value)))]))];
  }
  const vector = run.tangents ?? run.hvp;
  if (vector) return [table(["node", "value"], Object.entries(vector).map(([node, value]) => [node, brief(fromWire(value))]))];
  if (run.check) {
    return [table(["input", "analytic", "numerical", "verdict"], Object.entries(run.check.nodes).map(([node, found]) => [node, decimals(fromWire(found.analytic)), decimals(fromWire(found.numeric)), found.passed ? "✓ agrees" : "✗ differs"]))];
  }
  return [];
}

function table(head, rows) {
  return h("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Result" }, h("table", {},
    h("thead", {}, h("tr", {}, head.map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, rows.map(([name, ...cells]) => h("tr", {}, h("th", { scope: "row" }, h("bdi", {}, name)), cells.map((cell) => h("td", { class: "numeric" }, cell)))))));
}
