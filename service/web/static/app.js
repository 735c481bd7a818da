// The page: what is written, what the service makes of it, and everything that shows it.

import { askForKey, get, post } from "./api.js";
import { Check } from "./check.js";
import { Descent } from "./descent.js";
import { byId, h, latest, settled } from "./dom.js";
import { Drawing } from "./drawing.js";
import { Editor } from "./editor.js";
import { EXAMPLES } from "./examples.js";
import { FONTS, MOST_NODES, layOut, structureOf, warmUp } from "./layout.js";
import { Leaves } from "./leaves.js";
import { NodeTable } from "./nodes.js";
import { fromWire, toWire } from "./numbers.js";
import { showOperations } from "./operations.js";
import { showResult } from "./result.js";
import { showRuns } from "./runs.js";
import { Share } from "./share.js";
import { numberText, read, requestText, writeExpression } from "./source.js";
import { Player } from "./steps.js";
import { tabs } from "./tabs.js";

const EXAMPLE = "chainrule.example";
/** What a gradient takes of a request that may be of another kind. */
const GRADIENT_MEMBERS = ["graph", "graph_id", "inputs", "outputs", "seeds"];

class Page {
  constructor() {
    this.source = null;
    this.bindings = {};
    this.shown = null;
    this.runId = null;
    this.tab = "nodes";
    this.example = EXAMPLES.find(({ name }) => name === remembered(EXAMPLE)) ?? null;
    const failed = (problem) => this.fail(problem);
    const current = () => this.current();
    this.drawing = new Drawing(byId("drawing"));
    this.player = new Player((position) => this.walk(position));
    this.leaves = new Leaves({
      moved: (name, value) => this.bind({ [name]: value }),
      settled: (name, value) => this.settle({ [name]: value }),
    });
    this.table = new NodeTable(byId("panel-nodes"));
    this.check = new Check(byId("panel-check"), current, failed);
    this.descent = new Descent(byId("panel-descent"), current, (inputs, final) => (final ? this.settle(inputs) : this.bind(inputs)), failed);
    this.share = new Share(byId("panel-share"), current, this.drawing, failed);
    const edited = settled(() => this.edited(), 250);
    this.editor = new Editor(() => {
      // What is shown is not what is written, until that has been computed.
      byId("view-write").setAttribute("aria-busy", "true");
      edited();
    });
    this.compute = latest((options) => this.#compute(options));
    this.signs = get("/v1/operations").then(
      ({ items }) => new Map(items.map(({ name, aliases }) => [name, aliases.find((alias) => !/^\w/.test(alias)) ?? name])),
      () => new Map(),
    );
    this.#wire();
  }

  #wire() {
    const choice = byId("example");
    choice.append(...EXAMPLES.map(({ name }) => h("option", { value: name }, name)));
    choice.addEventListener("change", () => {
      const example = EXAMPLES.find(({ name }) => name === choice.value);
      if (example) this.open(example);
    });
    tabs(document.querySelector("[role=tablist]"), (name) => {
      this.tab = name;
      this.#showTab();
    });
    for (const button of document.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.#zoom(button.dataset.zoom));
    }
    byId("drawing").addEventListener("keydown", (event) => {
      const pan = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
      const zoom = { "+": "in", "=": "in", "-": "out", 0: "fit" }[event.key];
      if (event.ctrlKey || event.metaKey || (!pan && !zoom)) return;
      event.preventDefault();
      if (pan) this.drawing.pan(...pan);
      else this.#zoom(zoom);
    });
    addEventListener("chainrule:stored", ({ detail: run }) => {
      this.runId = run.id;
    });
  }

  #zoom(way) {
    if (this.drawing.empty) return;
    if (way === "fit") this.drawing.fit();
    else this.drawing.zoom(way === "in" ? 1.25 : 0.8);
  }

  /** Shows what a person has written, or the first example. */
  start() {
    const kept = Editor.kept();
    if (kept !== null && kept.trim() !== "") {
      this.editor.load(kept);
      this.compute({ position: 0 });
    } else {
      this.open(EXAMPLES[0]);
    }
  }

  open(example) {
    this.example = example;
    remember(EXAMPLE, example.name);
    byId("example").value = example.name;
    this.bindings = {};
    this.#leaveRun();
    this.editor.load(example.text);
    this.compute({ position: 0 });
  }

  /** Shows a stored run. */
  async openRun(id) {
    try {
      const run = await get(`/v1/runs/${encodeURIComponent(id)}`);
      this.runId = run.id;
      this.example = null;
      const graph = await get(`/v1/graphs/${run.graph_id}`);
      document.title = `${graph.name ?? "A run"} · Chainrule`;
      showResult(byId("result"), run);
      const single = Object.values(run.inputs).every((value) => !Array.isArray(value));
      const request = { graph_id: run.graph_id, ...(single ? { inputs: run.inputs } : {}), ...(run.kind === "gradient" && single ? { seeds: run.seeds } : {}) };
      const { id: _, created_at: __, ...written } = graph;
      this.editor.load(JSON.stringify(written, null, 2), { keep: false });
      this.source = read(this.editor.value);
      const explained = await post("/v1/explain", request);
      const expression = readable(explained, run);
      if (expression !== null) this.editor.load(expression, { keep: false });
      this.source = read(this.editor.value);
      this.bindings = this.source.form === "json" && single ? run.inputs : {};
      await this.show(explained, { position: Infinity });
    } catch (problem) {
      this.fail(problem);
    }
  }

  edited() {
    this.bindings = {};
    this.#leaveRun();
    this.compute({});
  }

  #leaveRun() {
    if (this.runId === null) return;
    this.runId = null;
    byId("result").replaceChildren();
    history.replaceState({}, "", "/");
    dispatchEvent(new CustomEvent("chainrule:moved"));
  }

  /** Values while they move. */
  bind(inputs) {
    Object.assign(this.bindings, inputs);
    this.compute({ moving: true });
  }

  /** Values that stay: written into the text where they stand there. */
  settle(inputs) {
    this.#leaveRun();
    for (const [name, value] of Object.entries(inputs)) {
      const place = read(this.editor.value).inputPlace(name);
      if (place) {
        this.editor.replace(place, numberText(fromWire(value)));
        delete this.bindings[name];
      } else {
        this.bindings[name] = toWire(fromWire(value));
      }
    }
    this.compute({ moving: true });
  }

  async #compute(options) {
    const written = this.editor.value;
    await this.#explain(written, options);
    if (written === this.editor.value) byId("view-write").removeAttribute("aria-busy");
  }

  async #explain(written, options) {
    this.source = read(written);
    if (this.source.errors.length) {
      this.editor.show(this.source.errors);
      return;
    }
    if (this.source.empty) {
      this.editor.clear();
      this.note(this.source.unused.length ? "These are inputs. Now compute something from them." : "");
      return;
    }
    try {
      const explained = await post("/v1/explain", requestText(this.#body(), this.#changed()));
      this.editor.clear();
      this.note(this.source.unused.length ? `Not used yet: ${this.source.unused.join(", ")}.` : "");
      await this.show(explained, options);
    } catch (problem) {
      this.fail(problem);
    }
  }

  #body() {
    return Object.fromEntries(Object.entries(this.source.body).filter(([name]) => GRADIENT_MEMBERS.includes(name)));
  }

  #changed() {
    if (Object.keys(this.bindings).length === 0) return {};
    return { inputs: { ...(this.source.body.inputs ? JSON.parse(this.source.body.inputs) : {}), ...this.bindings } };
  }

  /** What the panels work with; null while nothing is shown, or what is written cannot be read. */
  current() {
    if (!this.shown || !this.source?.body) return null;
    const inputs = Object.fromEntries(this.shown.graph.nodes.map((node, k) => [node, k]).filter(([node]) => node.op === "input").map(([node, k]) => [node.id, toWire(this.shown.values[k])]));
    const written = this.source.body.data ? JSON.parse(this.source.body.data) : this.example?.data;
    const data = written && Object.keys(written).every((name) => name in inputs) ? written : null;
    const settings = this.example?.descent;
    const fits = !settings?.objective || this.shown.graph.nodes.some(({ id }) => id === settings.objective);
    const { inputs: _, ...body } = this.#body();
    return { body, changed: this.#changed(), graph: this.shown.graph, inputs, data, settings: fits ? settings : undefined };
  }

  /** Shows an explanation: drawing, steps, leaves and tables. */
  async show(explained, { position, moving = false } = {}) {
    const { graph, run, steps } = explained;
    const before = this.shown;
    const values = graph.nodes.map(({ id }) => fromWire(run.values[id]));
    const gradients = graph.nodes.map(({ id }) => (id in run.gradients ? fromWire(run.gradients[id]) : undefined));
    const shape = JSON.stringify(graph.nodes.map(({ id, op, inputs, label }) => [id, op, inputs, label]).concat([graph.outputs]));
    const same = before?.shape === shape;
    this.shown = { graph, run, values, gradients, shape, positions: new Map(graph.nodes.map(({ id }, k) => [id, k])) };
    if (!same) await this.#draw(graph);
    const places = operandPlaces(steps.items, this.shown.positions, graph);
    this.shown.places = places;
    // Generated ids say nothing to people; what they stand for does.
    const called = new Map(graph.nodes.filter(({ id, label }) => /^_\d+$/.test(id) && label?.length <= 24).map(({ id, label }) => [id, label]));
    const at = position ?? (same ? (moving && this.player.position === 0 ? Infinity : this.player.position) : 0);
    this.player.load(steps.items, steps.count, at, called);
    const written = ({ id }) => this.source.inputPlace(id)?.[0] ?? 0;
    this.leaves.show(
      graph.nodes
        .map((node, k) => ({ ...node, value: values[k], gradient: gradients[k] }))
        .filter(({ op }) => op === "input")
        .sort((one, other) => written(one) - written(other)),
    );
    if (!same) this.check.reset();
    this.#showTab();
    byId("view-write").dataset.ready = "true";
  }

  async #draw(graph) {
    const frame = byId("drawing");
    if (graph.nodes.length > MOST_NODES) {
      this.drawing.clear();
      this.#drawingNote(`${graph.nodes.length} nodes are too many for a drawing. Every node is in the table below.`);
      return;
    }
    // Boxes are measured in the page's own typeface, so it has to be there.
    const [signs] = await Promise.all([this.signs, ...FONTS.map((font) => document.fonts.load(font))]);
    const nodes = structureOf(graph, signs);
    frame.setAttribute("aria-busy", "true");
    try {
      this.drawing.render(nodes, await layOut(nodes));
      this.#drawingNote("");
    } catch (problem) {
      this.drawing.clear();
      this.#drawingNote(`${problem.message} Every node is in the table below.`);
    } finally {
      frame.removeAttribute("aria-busy");
    }
  }

  #drawingNote(text) {
    const note = byId("drawing-note");
    note.textContent = text;
    note.hidden = text === "";
  }

  #showTab() {
    if (!this.shown) return;
    if (this.tab === "nodes") this.table.show(this.shown.graph, this.shown.values, this.shown.gradients, this.runId);
    if (this.tab === "descent") this.descent.prepare();
  }

  /** Shows the gradients that the first steps have computed, and lights the last of them. */
  walk(position) {
    if (!this.shown || this.drawing.empty || !this.shown.places) return;
    const { values, gradients, positions, places } = this.shown;
    const { steps, total } = this.player;
    const done = position === steps.length && steps.length === total;
    let known = gradients;
    if (!done) {
      known = new Array(values.length).fill(undefined);
      for (const step of steps.slice(0, position)) known[positions.get(step.to)] = step.gradient;
    }
    this.drawing.update(values, known, gradients);
    const step = position > 0 ? steps[position - 1] : null;
    this.drawing.light(step && { node: step.node === null ? null : positions.get(step.node), to: positions.get(step.to), place: places[position - 1] });
  }

  note(text) {
    byId("text-hint").textContent = text || "A name set to a plain number is an input. Everything else is computed from it.";
  }

  fail(problem) {
    if (!this.source) {
      this.editor.show([{ detail: problem.message, place: null }]);
      return;
    }
    const missing = problem.errors?.filter(({ code }) => code === "MISSING_DATA").map(({ pointer }) => pointer.split("/").at(-1)) ?? [];
    const errors = problem.errors?.length ? problem.errors : [{ detail: problem.message }];
    this.editor.show(errors.map((error, k) => ({
      detail: sentence(error.detail),
      place: this.source.place?.(error) ?? null,
      action: k === 0 && missing.length && this.source.form === "expression" ? this.#fillIn(missing) : null,
    })));
  }

  /** Writes the inputs that have no value yet into the text. */
  #fillIn(names) {
    const act = () => {
      this.editor.load(`${names.map((name) => `${name} = 1.0`).join("\n")}\n${this.editor.value}`);
      this.edited();
    };
    return h("button", { type: "button", class: "quiet small", onclick: act }, names.length === 1 ? `Set ${names[0]} to 1` : `Set ${names.join(", ")} to 1`);
  }
}

/** Which operand of its node each step hands back to: a node that is used twice has two steps. */
function operandPlaces(steps, positions, graph) {
  const taken = new Map();
  return steps.map(({ node, to }) => {
    if (node === null) return null;
    const inputs = graph.nodes[positions.get(node)].inputs;
    const key = JSON.stringify([node, to]);
    const place = inputs.indexOf(to, (taken.get(key) ?? -1) + 1);
    taken.set(key, place);
    return place;
  });
}

/** A stored run as an expression, where that says all of it; else null. */
function readable({ expression, graph }, run) {
  const plain = Object.values(expression.data ?? {}).every((value) => typeof value === "number");
  const constants = /^\s*[\p{L}_][\p{L}\p{N}_]*\s*=\s*[-+]?[\d.]/mu.test(expression.expression) && graph.nodes.some(({ op }) => op === "constant");
  const single = graph.outputs.length === 1 && Object.keys(run.seeds ?? {}).every((node) => node === graph.outputs[0]) && Object.values(run.seeds ?? {}).every((seed) => seed === 1);
  const bound = Object.entries(run.inputs).every(([, value]) => typeof value === "number");
  if (!plain || constants || !single || !bound) return null;
  return `${writeExpression({ ...expression, data: { ...expression.data, ...run.inputs } })}\n`;
}

function sentence(text) {
  const trimmed = text.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?…]$/.test(trimmed) ? "" : ".");
}

function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Then it is forgotten with the page.
  }
}

function themes() {
  const order = ["auto", "light", "dark"];
  const button = byId("theme-button");
  const set = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  let theme = document.documentElement.dataset.theme ?? "auto";
  set(theme);
  button.addEventListener("click", () => {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    set(theme);
    remember("chainrule.theme", theme === "auto" ? "" : theme);
  });
}

let shownPath = location.pathname;

function boot() {
  themes();
  const keyed = byId("key-button");
  keyed.hidden = sessionStorage.getItem("chainrule.key") === null;
  keyed.addEventListener("click", async () => {
    if (await askForKey()) location.reload();
  });
  const path = location.pathname;
  // Going back to another page's address; a mere jump within this one is no reason.
  addEventListener("popstate", () => location.pathname !== shownPath && location.reload());
  addEventListener("chainrule:moved", () => {
    shownPath = location.pathname;
  });
  const run = /^\/runs\/([^/]+)$/.exec(path)?.[1];
  const view = path === "/runs" ? "runs" : path === "/operations" ? "operations" : "write";
  byId(`view-${view}`).hidden = false;
  document.querySelector(`nav [data-view=${run ? "runs" : view}]`)?.setAttribute("aria-current", "page");
  if (view === "runs") {
    document.title = "Runs · Chainrule";
    showRuns(byId("view-runs"));
  } else if (view === "operations") {
    document.title = "Operations · Chainrule";
    showOperations(byId("view-operations"));
  } else {
    warmUp();
    const page = new Page();
    if (run) page.openRun(decodeURIComponent(run));
    else page.start();
  }
}

boot();
