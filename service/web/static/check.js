// The analytic gradient beside an independent numerical one.

import { post } from "./api.js";
import { h } from "./dom.js";
import { decimals, exact, fromWire } from "./numbers.js";
import { requestText } from "./source.js";

function verdict({ passed, nodes }) {
  if (!passed) return "The two differ for the inputs marked ✗.";
  return Object.values(nodes).some(({ numeric }) => numeric === "NaN") ? "The two agree, where anything can be told." : "The two agree.";
}

export class Check {
  constructor(panel, current, failed) {
    this.panel = panel;
    this.current = current;
    this.failed = failed;
    this.reset();
  }

  reset() {
    this.panel.replaceChildren(
      h("p", {}, "Nudge every input a little both ways, see how the output moves, and compare with what the chain rule says. "),
      h("button", { type: "button", class: "primary", onclick: () => this.run() }, "Check the gradients"),
    );
  }

  async run() {
    const state = this.current();
    if (!state) return;
    const { body, inputs } = state;
    try {
      const { check } = await post("/v1/runs", requestText(body, { kind: "check", store: false, inputs, select: null }));
      this.show(check);
    } catch (problem) {
      this.failed(problem);
    }
  }

  show(check) {
    const rows = Object.entries(check.nodes).map(([node, { analytic, numeric, relative_error: error, passed, kinked }]) => {
      const number = (value) => h("td", { class: "numeric", title: exact(fromWire(value)) }, decimals(fromWire(value)));
      const size = typeof error === "number" ? error.toExponential(1).replaceAll("-", "\u2212") : String(error ?? "–");
      return h("tr", {}, h("th", { scope: "row" }, h("bdi", {}, node)), number(analytic), number(numeric), h("td", { class: "numeric" }, size),
        h("td", {}, kinked ? "on a kink: a convention" : numeric === "NaN" ? "cannot tell" : passed ? "✓ agrees" : "✗ differs"));
    });
    this.panel.replaceChildren(
      h("p", { role: "status" }, verdict(check)),
      h("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Numerical check" }, h("table", {},
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "input"), ["analytic", "numerical", "relative error"].map((title) => h("th", { scope: "col", class: "numeric" }, title)), h("th", { scope: "col" }, "verdict"))),
        h("tbody", {}, rows))),
      h("button", { type: "button", class: "quiet", onclick: () => this.run() }, "Check again"),
    );
  }
}
