// The catalogue: what each operation computes, its derivative, and both as curves made of the service's own numbers.

import { get, post } from "./api.js";
import { h } from "./dom.js";
import { typeset } from "./formula.js";
import { fromWire } from "./numbers.js";
import { linePlot } from "./plot.js";

const POINTS = 161;
const REACH = 4;
const OTHERS = { clamp: [-1.5, 1.5], where: [1, -1] };

export async function showOperations(view) {
  const search = h("input", { type: "search", id: "operation-search", autocomplete: "off" });
  const status = h("p", { class: "hint", role: "status" }, "Looking…");
  const cards = h("div", { class: "cards" });
  view.replaceChildren(
    h("h1", { id: "operations-title" }, "Operations"),
    h("p", {}, "Each is computed and differentiated by one row of one table. The curves are the service's own numbers: ", h("span", { class: "key value" }, "the function"), " and ", h("span", { class: "key slope" }, "its derivative"), ". In a derivative, ", h("i", {}, "y"), " is the result."),
    h("p", { class: "row" }, h("label", { class: "inline", for: "operation-search" }, "Search ", search)),
    status,
    cards,
  );
  try {
    const { items } = await get("/v1/operations");
    const all = items.map((operation) => ({ operation, card: card(operation), text: [operation.name, ...operation.aliases, operation.summary].join(" ").toLowerCase() }));
    const near = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        near.unobserve(target);
        draw(all.find(({ card: each }) => each === target).operation, target);
      }
    }, { rootMargin: "300px" });
    cards.replaceChildren(...all.map(({ card: each }) => each));
    for (const { card: each } of all) near.observe(each);
    const filter = () => {
      const text = search.value.trim().toLowerCase();
      let count = 0;
      for (const each of all) {
        each.card.hidden = !each.text.includes(text);
        count += !each.card.hidden;
      }
      status.textContent = `${count} of ${all.length} operations`;
    };
    search.addEventListener("input", filter);
    filter();
  } catch (problem) {
    status.textContent = problem.message;
  }
}

function card(operation) {
  const parameters = operation.arity.max === 1 ? ["x"] : operation.arity.max === 2 ? ["a", "b"] : operation.derivatives.length === 3 ? null : ["x"];
  const derivative = (rule, k) => {
    const by = parameters?.[k] ?? (operation.name === "where" ? ["condition", "a", "b"] : ["x", "low", "high"])[k];
    // A rule may name parts of itself on lines before the last.
    const lines = rule.split("\n");
    return h("div", { class: "rule" }, h("span", { class: "by" }, "∂/∂", h("i", {}, by)), " = ", typeset(lines.at(-1)), lines.length > 1 ? [", where ", typeset(lines.slice(0, -1).join(", "))] : null);
  };
  return h("article", { class: "card", "aria-labelledby": `op-${operation.name}` },
    h("h2", { id: `op-${operation.name}` }, operation.name, operation.aliases.length ? h("span", { class: "aside" }, operation.aliases.join("  ")) : null),
    h("p", {}, operation.summary),
    h("div", { class: "rule" }, typeset(operation.formula || `${operation.name}(x)`)),
    operation.derivatives.map(derivative),
    operation.domain && operation.domain !== "all reals" ? h("p", { class: "hint" }, `Defined for ${operation.domain}.`) : null,
    operation.convention ? h("p", { class: "hint" }, operation.convention) : null,
    h("div", { class: "curve-place" }));
}

async function draw(operation, target) {
  const others = OTHERS[operation.name] ?? (operation.arity.min === 2 || operation.arity.max === null ? [1.5] : []);
  const xs = [...Array(POINTS).keys()].map((k) => -REACH + (2 * REACH * k) / (POINTS - 1));
  const graph = { nodes: [{ id: "x", op: "input" }, { id: "y", op: operation.name, inputs: ["x", ...others] }], outputs: ["y"] };
  const place = target.querySelector(".curve-place");
  try {
    const run = await post("/v1/runs", { graph, inputs: { x: xs }, store: false });
    // Where the function is nothing, its derivative's formula may still have a value, but nothing to be the slope of.
    const points = (numbers) => xs.map((x, k) => [x, Number.isNaN(fromWire(run.outputs.y[k])) ? NaN : fromWire(numbers[k])]);
    const what = others.length ? `${operation.name}(x, ${others.join(", ")})` : `${operation.name}(x)`;
    place.replaceChildren(
      linePlot([{ points: points(run.outputs.y), className: "value" }, { points: points(run.gradients.x), className: "slope" }], { width: 300, height: 170, zero: true, label: `${what} and its derivative for x from ${-REACH} to ${REACH}` }),
      h("p", { class: "caption" }, typeset(what), ` and its derivative`),
    );
  } catch (problem) {
    place.replaceChildren(h("p", { class: "hint" }, `No curve: ${problem.message}`));
  }
}
