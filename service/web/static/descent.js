// Descent: a few steps at a time, so that the curve and the boundary are seen moving.

import { post } from "./api.js";
import { h } from "./dom.js";
import { brief, fromWire } from "./numbers.js";
import { linePlot, planePlot } from "./plot.js";
import { requestText } from "./source.js";

const GRID = 36;
const CURVE = { width: 460, height: 240 };

export class Descent {
  /** `current()` answers {body, graph, inputs, data}; `settled(inputs)` takes over where a descent has led. */
  constructor(panel, current, settled, failed) {
    this.panel = panel;
    this.current = current;
    this.settled = settled;
    this.failed = failed;
    this.wanted = {};
    this.running = false;
    this.key = null;
  }

  /** Builds the form for a graph, unless it is there already. */
  prepare() {
    const state = this.current();
    if (!state) return;
    const { graph, data, settings } = state;
    const inputs = graph.nodes.filter((node) => node.op === "input").map((node) => node.id);
    const key = JSON.stringify([graph.outputs, inputs, Object.keys(data ?? {})]);
    if (key === this.key) return;
    this.key = key;
    this.stop();
    const wanted = { direction: "minimize", learningRate: 0.01, steps: 100, objective: graph.outputs[0], ...settings };
    const computed = graph.nodes.filter((node) => node.op !== "input" && node.op !== "constant").map((node) => node.id);
    const option = (value, chosen, text = value) => h("option", { value, selected: value === chosen }, text);
    this.fields = {
      direction: h("select", { id: "descent-direction" }, option("minimize", wanted.direction), option("maximize", wanted.direction)),
      objective: h("select", { id: "descent-objective" }, computed.map((id) => option(id, wanted.objective))),
      optimizer: h("select", { id: "descent-optimizer" }, option("sgd", wanted.optimizer), option("adam", wanted.optimizer)),
      learningRate: h("input", { id: "descent-rate", type: "text", inputmode: "decimal", size: 6, value: wanted.learningRate }),
      steps: h("input", { id: "descent-steps", type: "text", inputmode: "numeric", size: 5, value: wanted.steps }),
    };
    const free = inputs.filter((id) => !(id in (data ?? {})));
    this.parameters = free.map((id) => h("input", { type: "checkbox", value: id, checked: true, id: `parameter-${id}` }));
    this.button = h("button", { type: "button", class: "primary", onclick: () => (this.running ? this.stop() : this.run()) }, "Descend");
    this.report = h("p", { class: "hint", role: "status" });
    this.curve = h("div", { class: "curve" });
    this.plane = h("div", { class: "curve" });
    const labelled = (text, field) => h("label", { class: "inline", for: field.id }, `${text} `, field);
    this.panel.replaceChildren(
      h("div", { class: "row" }, this.fields.direction.id && labelled("", this.fields.direction), labelled("the mean of", this.fields.objective), labelled("by", this.fields.optimizer),
        labelled("learning rate", this.fields.learningRate), labelled("steps", this.fields.steps), this.button),
      h("details", { open: free.length <= 6 }, h("summary", {}, `${free.length} parameters may move`),
        h("ul", { class: "choices" }, free.map((id, k) => h("li", {}, h("label", {}, this.parameters[k], " ", h("bdi", {}, id)))))),
      data ? h("p", { class: "hint" }, `Over ${Object.values(data)[0].length} rows of ${Object.keys(data).join(", ")}.`) : "",
      this.report,
      h("div", { class: "plots" }, this.curve, this.plane),
    );
    this.fields.direction.setAttribute("aria-label", "Direction");
    if (data) this.#boundary(state.inputs).catch(this.failed);
  }

  stop() {
    this.running = false;
    if (this.button) this.button.textContent = "Descend";
  }

  async run() {
    const state = this.current();
    if (!state) return;
    const { body, inputs, data } = state;
    const optimizer = { name: this.fields.optimizer.value, learning_rate: Number(this.fields.learningRate.value.replaceAll("\u2212", "-")) };
    const total = Number(this.fields.steps.value);
    const parameters = this.parameters.filter((box) => box.checked).map((box) => box.value);
    // Plain sgd remembers nothing from step to step, so it may be asked for in pieces; adam may not.
    const piece = optimizer.name === "sgd" ? Math.max(1, Math.ceil(total / 40)) : total;
    const free = Object.fromEntries(Object.entries(inputs).filter(([name]) => !(name in (data ?? {}))));
    const objective = [];
    this.running = true;
    this.button.textContent = "Stop";
    try {
      let at = free;
      while (this.running && objective.length < total) {
        const request = {
          kind: "descent", store: false, inputs: at, parameters, optimizer, [this.fields.direction.value]: this.fields.objective.value,
          steps: Math.min(piece, total - objective.length), select: null, seeds: null, outputs: null, ...(data ? { data } : {}),
        };
        const run = await post("/v1/runs", requestText(body, request));
        objective.push(...run.history.objective.map(fromWire));
        at = { ...at, ...run.inputs };
        this.#draw(objective);
        await this.#boundary({ ...inputs, ...at });
        this.settled(Object.fromEntries(Object.entries(at).map(([name, value]) => [name, fromWire(value)])), false);
        if (run.state === "failed") {
          this.report.textContent = run.error.detail;
          break;
        }
        if (!objective.every(Number.isFinite)) break;
      }
      this.settled(at, true);
    } catch (problem) {
      this.failed(problem);
    } finally {
      this.stop();
    }
  }

  #draw(objective) {
    const points = objective.map((value, step) => [step, value]);
    this.report.textContent = `Step ${objective.length}: ${this.fields.objective.value} was ${brief(objective.at(-1))}; it began at ${brief(objective[0])}.`;
    this.curve.replaceChildren(linePlot([{ points: points.length > 1 ? points : [[0, objective[0]], [1, objective[0]]], className: "value" }], { ...CURVE, label: `The objective over ${objective.length} steps` }),
      h("p", { class: "caption" }, "objective by step"));
  }

  /** The model over the plane of its two inputs, where it has two. */
  async #boundary(inputs) {
    const { data, settings, body } = this.current() ?? {};
    if (!data || !settings?.score) return;
    const [xName, yName] = settings.plane;
    const target = settings.target;
    const ranges = [xName, yName].map((name) => padded(data[name]));
    const axis = ([low, high], k) => low + ((high - low) * (k + 0.5)) / GRID;
    const cells = [...Array(GRID * GRID).keys()];
    const bound = { ...inputs };
    for (const name of Object.keys(data)) delete bound[name];
    if (target) bound[target] = 1;
    const run = await post("/v1/runs", requestText(body, {
      kind: "gradient", store: false, outputs: [settings.score], seeds: null, select: [settings.score],
      inputs: { ...bound, [xName]: cells.map((k) => axis(ranges[0], k % GRID)), [yName]: cells.map((k) => axis(ranges[1], Math.floor(k / GRID))) },
    }));
    const values = (run.outputs ?? run.values)[settings.score].map(fromWire);
    const points = data[xName].map((x, k) => ({ x, y: data[yName][k], positive: data[target]?.[k] > 0 }));
    this.plane.replaceChildren(planePlot(values, GRID, points, ...ranges, { side: 240, label: `The sign of ${settings.score} over the plane of ${xName} and ${yName}, with the rows of the data` }),
      h("p", { class: "caption" }, `sign of ${settings.score} over ${xName} and ${yName}`));
  }
}

function padded(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low) * 0.15;
  return [low - room, high + room];
}
