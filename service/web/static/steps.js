// Walking through the backward pass: one application of the chain rule at a time, in both directions.

import { byId, h } from "./dom.js";
import { typeset } from "./formula.js";
import { brief, fromWire } from "./numbers.js";

const PACE = 1100;

export class Player {
  /** `shown(position)` is called with the number of steps done whenever it changes. */
  constructor(shown) {
    this.shown = shown;
    this.steps = [];
    this.count = 0;
    this.position = 0;
    this.timer = null;
    this.range = byId("position");
    this.range.addEventListener("input", () => this.go(Number(this.range.value)));
    this.buttons = Object.fromEntries([...document.querySelectorAll("[data-step]")].map((button) => [button.dataset.step, button]));
    for (const [name, button] of Object.entries(this.buttons)) button.addEventListener("click", () => this.press(name));
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Takes the steps of a run; `total` may be more than came with it, `called` has words for ids that say nothing. */
  load(steps, total, position, called) {
    this.pause();
    this.called = called;
    const soFar = new Map();
    this.steps = steps.map((step) => ({
      ...step,
      before: swap(soFar, step.to, fromWire(step.gradient)) ?? 0,
      local: fromWire(step.local),
      upstream: fromWire(step.upstream),
      contribution: fromWire(step.contribution),
      gradient: fromWire(step.gradient),
    }));
    this.total = total;
    this.range.max = this.steps.length;
    this.go(Math.min(position, this.steps.length));
  }

  go(position) {
    this.position = Math.min(Math.max(position, 0), this.steps.length);
    this.range.value = this.position;
    const last = this.steps.length;
    const step = this.position > 0 ? this.steps[this.position - 1] : null;
    this.range.setAttribute("aria-valuetext", `${this.position} of ${this.total} steps`);
    byId("position-text").textContent = `${this.position} / ${this.total}`;
    this.buttons.first.disabled = this.buttons.back.disabled = this.position === 0;
    this.buttons.next.disabled = this.buttons.last.disabled = this.position === last;
    this.buttons.play.disabled = last === 0;
    this.#tell(step);
    this.shown(this.position);
  }

  press(name) {
    if (name !== "play") this.pause();
    if (name === "first") this.go(0);
    else if (name === "back") this.go(this.position - 1);
    else if (name === "next") this.go(this.position + 1);
    else if (name === "last") this.go(this.steps.length);
    else if (this.timer) this.pause();
    else this.play();
  }

  play() {
    if (this.position === this.steps.length) this.go(0);
    this.buttons.play.textContent = "Pause";
    this.buttons.play.setAttribute("aria-pressed", "true");
    const tick = () => {
      this.go(this.position + 1);
      if (this.position === this.steps.length) this.pause();
    };
    this.timer = setInterval(tick, PACE);
    tick();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.buttons.play.textContent = "Play";
    this.buttons.play.setAttribute("aria-pressed", "false");
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("view-write").hidden) return;
    if (event.target.closest("input, textarea, select, [role=tablist], #drawing, dialog, .scrolls")) return;
    const name = { ArrowRight: "next", ArrowLeft: "back", Home: "first", End: "last" }[event.key];
    if (!name) return;
    event.preventDefault();
    if (!this.buttons[name].disabled) this.press(name);
  }

  #tell(step) {
    const sentence = byId("sentence");
    const formula = byId("formula");
    if (step !== null && this.position === this.steps.length && this.total > this.steps.length) {
      formula.replaceChildren();
      sentence.textContent = `The page walks the first ${this.steps.length} steps; a stored run has all ${this.total} under /v1/runs/{id}/steps.`;
      return;
    }
    if (step === null) {
      formula.replaceChildren();
      sentence.textContent = this.steps.length
        ? "The values are computed, from left to right. Now walk back: each step applies the chain rule once. Press Next step, or the right arrow key."
        : "";
      return;
    }
    const words = (id) => (this.called.has(id) ? enclosed(this.called.get(id)).join("") : id);
    sentence.textContent = `${step.text.replace(/(?<![\p{L}\p{N}_])_\d+(?![\p{L}\p{N}_])/gu, words)}.`;
    formula.replaceChildren(...(step.node === null ? seedLines(step) : chainLines(step, (id) => (this.called.has(id) ? enclosed(this.called.get(id)).map((part) => (part.length > 1 ? typeset(part) : part)) : h("i", {}, h("bdi", {}, id))))));
  }
}

/** An expression in parentheses, unless it is a call and reads as one thing anyway. */
function enclosed(expression) {
  return /^[\p{L}_][\p{L}\p{N}_]*\([^()]*\)$/u.test(expression) ? [expression] : ["(", expression, ")"];
}

/** Sets a value and answers the one before. */
function swap(map, key, value) {
  const before = map.get(key);
  map.set(key, value);
  return before;
}

function grad(name) {
  return [name, h("span", { class: "dot-grad" }, ".grad")];
}

function line(left, sign, ...right) {
  return h("div", { class: "formula-line" }, h("span", { class: "left" }, left), h("span", { class: "relation" }, sign), h("span", { class: "right" }, right));
}

function seedLines(step) {
  return [line(grad(h("i", {}, step.to)), "=", brief(step.upstream), h("span", { class: "aside" }, "the seed"))];
}

/** The chain rule for one step, then with its numbers; `name` sets a node's id as it is called. */
function chainLines(step, name) {
  const times = " × ";
  // A long sub-expression goes by its operation here, as in the sentence.
  const short = (id) => (text(name(id)).length > 12 ? null : name(id));
  const fraction = h("span", { class: "fraction" }, h("span", {}, "∂", short(step.node) ?? ["\u2009", step.op]), h("span", {}, "∂", name(step.to)));
  const lines = [line(grad(name(step.to)), "+=", grad(name(step.node)), times, fraction)];
  if (!/^-?[\d.]+$/.test(step.derivative)) lines.push(line("", "=", brief(step.upstream), times, bracketed(step.derivative, name)));
  lines.push(line("", "=", brief(step.upstream), times, brief(step.local)));
  lines.push(line("", "=", h("b", { class: step.contribution < 0 ? "minus" : "plus" }, brief(step.contribution))));
  if (step.before !== 0) {
    lines.push(line(grad(name(step.to)), "=", brief(step.before), " + ", brief(step.contribution)), line("", "=", h("b", {}, brief(step.gradient))));
  }
  return lines;
}

function text(parts) {
  return h("span", {}, parts).textContent;
}

function bracketed(derivative, name) {
  const simple = !/[-+ ]/.test(derivative.replace(/^[\w.]+\(.*\)$/, ""));
  return simple ? typeset(derivative, name) : ["(", typeset(derivative, name), ")"];
}
