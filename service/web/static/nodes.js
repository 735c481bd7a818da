// The node table: every node with its value and gradient, in the order one asks for.

import { get } from "./api.js";
import { h } from "./dom.js";
import { decimals, exact, fromWire } from "./numbers.js";

const PAGE = 100;
const COLUMNS = [
  ["id", "node"],
  ["op", "operation"],
  ["inputs", "from"],
  ["value", "data"],
  ["gradient", "grad"],
  ["abs_gradient", "|grad|"],
];

export class NodeTable {
  constructor(panel) {
    this.panel = panel;
    this.sort = null;
    this.op = "";
    this.shown = PAGE;
    this.items = null;
  }

  /** Shows a run: its graph's nodes, with `values` and `gradients` by position; `runId` where it is stored. */
  show(graph, values, gradients, runId) {
    this.source = { graph, values, gradients, runId };
    this.shown = PAGE;
    this.refresh();
  }

  async refresh() {
    const { graph, values, gradients, runId } = this.source;
    const source = this.source;
    let items;
    let more = false;
    if (runId && graph.nodes.length > PAGE) {
      const query = new URLSearchParams({ page_size: String(Math.min(this.shown, 500)) });
      if (this.sort) query.set("sort", this.sort);
      if (this.op) query.set("op", this.op);
      const page = await get(`/v1/runs/${runId}/nodes?${query}`);
      items = page.items.map((item) => ({ ...item, value: fromWire(item.value), gradient: item.gradient === null ? undefined : fromWire(item.gradient) }));
      more = "next_page_token" in page && this.shown < 500;
    } else {
      items = graph.nodes.map((node, k) => ({ ...node, value: values[k], gradient: gradients[k] }));
      if (this.op) items = items.filter((item) => item.op === this.op);
      if (this.sort) items.sort(order(this.sort));
      more = items.length > this.shown;
      items = items.slice(0, this.shown);
    }
    if (this.source !== source) return;
    this.#render(items, more);
  }

  #render(items, more) {
    const { graph } = this.source;
    const focused = this.panel.contains(document.activeElement) ? document.activeElement.dataset.sort : null;
    const operations = [...new Set(graph.nodes.map((node) => node.op))].sort();
    const filter = h("select", { id: "node-op", onchange: (event) => this.#set({ op: event.target.value }) },
      h("option", { value: "" }, "all"), operations.map((op) => h("option", { value: op, selected: op === this.op }, op)));
    const head = COLUMNS.map(([key, title]) => {
      if (key === "inputs") return h("th", { scope: "col" }, title);
      const direction = this.sort === key ? "ascending" : this.sort === `-${key}` ? "descending" : null;
      const next = direction === null ? (key.includes("gradient") || key === "value" ? `-${key}` : key) : direction === "descending" ? key : `-${key}`;
      const numeric = ["value", "gradient", "abs_gradient"].includes(key);
      return h("th", { scope: "col", "aria-sort": direction, class: numeric ? "numeric" : null },
        h("button", { type: "button", class: "sort", "data-sort": key, onclick: () => this.#set({ sort: next }) }, title,
          h("span", { "aria-hidden": "true" }, direction === "ascending" ? " ↑" : direction === "descending" ? " ↓" : "")));
    });
    const rows = items.map((item) => h("tr", {},
      h("th", { scope: "row" }, h("bdi", {}, item.id), item.label ? h("span", { class: "aside" }, h("bdi", {}, item.label)) : null),
      h("td", {}, item.op),
      h("td", { class: "from" }, h("bdi", {}, (item.inputs ?? []).join(", "))),
      h("td", { class: "numeric", title: exact(item.value) }, decimals(item.value)),
      item.gradient === undefined
        ? [h("td", { class: "numeric" }, "–"), h("td", { class: "numeric" }, "–")]
        : [h("td", { class: `numeric ${item.gradient < 0 ? "minus" : item.gradient > 0 ? "plus" : ""}`, title: exact(item.gradient) }, decimals(item.gradient)),
          h("td", { class: "numeric" }, decimals(Math.abs(item.gradient)))]));
    this.panel.replaceChildren(
      h("p", { class: "row" }, h("label", { class: "inline", for: "node-op" }, "Operation ", filter), h("span", { class: "hint" }, `${graph.nodes.length} nodes`)),
      h("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Every node" },
        h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))),
      more ? h("button", { type: "button", class: "quiet", onclick: () => this.#set({ shown: this.shown + PAGE }) }, "More") : "",
    );
    if (focused) this.panel.querySelector(`[data-sort="${focused}"]`)?.focus();
  }

  #set(change) {
    Object.assign(this, change);
    this.refresh();
  }
}

/** The service's orders: ties as they come, what is no number last. */
function order(sort) {
  const descending = sort.startsWith("-");
  const key = sort.replace(/^-/, "");
  const of = key === "abs_gradient" ? (item) => (item.gradient === undefined ? NaN : Math.abs(item.gradient)) : (item) => item[key];
  return (one, other) => {
    const [a, b] = [of(one), of(other)];
    if (key === "id" || key === "op") return (a < b ? -1 : a > b ? 1 : 0) * (descending ? -1 : 1);
    const [missingA, missingB] = [a === undefined || Number.isNaN(a), b === undefined || Number.isNaN(b)];
    if (missingA || missingB) return missingA - missingB;
    return (a < b ? -1 : a > b ? 1 : 0) * (descending ? -1 : 1);
  };
}
