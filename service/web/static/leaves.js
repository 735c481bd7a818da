// One row per input: drag it, or type its value, and everything follows.

import { byId, h } from "./dom.js";
import { brief, exact } from "./numbers.js";

const STEPS = 400;

export class Leaves {
  /** `moved(name, value)` while dragging, `settled(name, value)` once it is let go. */
  constructor({ moved, settled }) {
    this.moved = moved;
    this.settled = settled;
    this.rows = new Map();
    this.names = "";
  }

  /** Shows inputs [{id, label, value, gradient}]; rows that are there stay, so that a drag is not interrupted. */
  show(inputs) {
    const names = JSON.stringify(inputs.map((input) => input.id));
    if (names !== this.names) {
      this.names = names;
      this.rows = new Map(inputs.map((input, index) => [input.id, this.#row(input, index)]));
      byId("leaves").replaceChildren(
        inputs.length ? h("ul", { class: "leaves" }, [...this.rows.values()].map((row) => row.item)) : h("p", { class: "hint" }, "Nothing to wiggle: the graph has no inputs."),
      );
    }
    for (const input of inputs) this.#update(this.rows.get(input.id), input);
  }

  #row(input, index) {
    const label = input.label ?? input.id;
    const id = `leaf-${index}`;
    const range = h("input", { type: "range", id, min: 0, max: STEPS, step: 1 });
    const number = h("input", { type: "text", inputmode: "decimal", class: "leaf-value", "aria-label": `Value of ${label}`, size: 8, autocomplete: "off" });
    const gradient = h("output", { class: "leaf-gradient", for: id, "aria-label": `Gradient of ${label}` });
    const row = { range, number, gradient, item: null, low: 0, high: 1 };
    range.addEventListener("input", () => {
      const value = rounded(row.low + ((row.high - row.low) * Number(range.value)) / STEPS, row.high - row.low);
      number.value = brief(value);
      range.setAttribute("aria-valuetext", brief(value));
      this.moved(input.id, value);
      row.dragged = value;
    });
    range.addEventListener("change", () => this.settled(input.id, row.dragged));
    const typed = () => {
      const value = Number(number.value.replaceAll("\u2212", "-").trim());
      const wrong = number.value.trim() === "" || !Number.isFinite(value);
      number.setAttribute("aria-invalid", String(wrong));
      if (!wrong && value !== row.value) this.settled(input.id, value);
    };
    number.addEventListener("change", typed);
    row.item = h("li", {}, h("label", { for: id }, h("i", {}, h("bdi", {}, label))), range, number, gradient);
    return row;
  }

  #update(row, { value, gradient }) {
    row.value = value;
    if (document.activeElement !== row.number) row.number.value = brief(value);
    row.number.title = exact(value);
    const reach = Math.max(2, Math.abs(value) * 1.5);
    const finite = Number.isFinite(value);
    row.range.disabled = !finite;
    if (finite && (row.centre === undefined || value < row.low || value > row.high)) {
      row.centre = value;
      row.low = value - reach;
      row.high = value + reach;
    }
    if (finite && document.activeElement !== row.range) row.range.value = ((value - row.low) / (row.high - row.low)) * STEPS;
    row.range.setAttribute("aria-valuetext", brief(value));
    row.gradient.textContent = gradient === undefined ? "" : `grad ${brief(gradient, 5)}`;
    row.gradient.title = gradient === undefined ? "" : exact(gradient);
    row.gradient.className = `leaf-gradient ${gradient < 0 ? "minus" : gradient > 0 ? "plus" : ""}`;
  }
}

/** As few digits as tell neighbouring places of a slider apart. */
function rounded(value, span) {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(span)));
  return Number(value.toFixed(Math.min(digits, 12)));
}
