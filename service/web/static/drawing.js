// The drawing: the lecture's boxes, with the gradient's sign and size in colour and in a bar that needs none.

import { s } from "./dom.js";
import { CELL_WIDTH, ROW, literalText } from "./layout.js";
import { decimals, exact, largest } from "./numbers.js";

const MARGIN = 18;
const UNKNOWN = "\u2013";

export class Drawing {
  constructor(frame) {
    this.frame = frame;
    this.svg = null;
    this.view = null;
    this.scale = 1;
    this.#listen();
  }

  get empty() {
    return this.svg === null;
  }

  clear() {
    this.frame.replaceChildren();
    this.svg = null;
  }

  /** Draws a graph anew; the numbers come with `update`. */
  render(nodes, layout) {
    const fresh = this.layout !== layout || this.svg === null;
    this.nodes = nodes;
    this.layout = layout;
    this.boxes = [];
    const edges = s("g", { class: "edges" });
    const marks = s("g", { class: "marks" });
    const shapes = s("g", {});
    this.marks = marks;
    this.edges = new Map();
    for (const [id, points] of layout.edges) {
      const path = s("path", { d: curve(points), class: "edge" });
      this.edges.set(id, { path, points });
      edges.append(path);
    }
    nodes.forEach((node, k) => {
      shapes.append(this.#box(node, k));
      if (node.op === null) return;
      shapes.append(this.#sign(node, k));
      node.operands.forEach((operand, place) => {
        if (typeof operand === "number") return;
        const [x, y] = layout.places.get(`l${k}_${place}`).at;
        shapes.append(s("text", { x, y: y + 5, class: "literal", "text-anchor": "middle" }, s("title", {}, String(operand.literal)), literalText(operand.literal)));
      });
    });
    this.size = [layout.width + 2 * MARGIN, layout.height + 2 * MARGIN];
    const world = s("g", { transform: `translate(${MARGIN} ${MARGIN})` }, marks, edges, shapes);
    this.svg = s("svg", { class: "graph", role: "presentation", focusable: "false" }, world);
    this.frame.replaceChildren(this.svg);
    if (fresh || this.view === null) this.fit({ readable: true });
    else this.#apply();
  }

  #box(node, k) {
    const [cx, cy] = this.layout.places.get(`n${k}`).at;
    const x = cx - node.width / 2;
    const y = cy - ROW / 2;
    const round = node.kind === "input" ? 9 : 1.5;
    const group = s("g", { class: `box ${node.kind}`, transform: `translate(${x} ${y})` });
    const title = s("title", {});
    const label = s("text", { x: node.labelWidth / 2, y: 20, class: "label", "text-anchor": "middle" }, node.label);
    // A label written from right to left must not turn the box around.
    label.setAttribute("unicode-bidi", "isolate");
    group.append(title);
    if (node.kind === "output") group.append(s("rect", { x: -3, y: -3, width: node.width + 6, height: ROW + 6, rx: 3, class: "rim" }));
    group.append(
      s("rect", { width: node.width, height: ROW, rx: round, class: "paper" }),
      s("path", { d: labelTab(node.labelWidth, round), class: "tab" }),
    );
    const data = s("text", { x: node.labelWidth + CELL_WIDTH - 9, y: 20, class: "number", "text-anchor": "end" });
    const box = { group, title, data, node };
    group.append(label, s("text", { x: node.labelWidth + 8, y: 20, class: "word" }, "data"), data);
    if (node.cells === 2) {
      const left = node.labelWidth + CELL_WIDTH;
      box.shade = s("path", { d: gradTab(left, node.width, round), class: "shade" });
      box.bar = s("rect", { x: left + CELL_WIDTH / 2, y: ROW - 3.5, width: 0, height: 2.5, class: "bar" });
      box.grad = s("text", { x: left + CELL_WIDTH - 9, y: 20, class: "number", "text-anchor": "end" });
      box.middle = left + CELL_WIDTH / 2;
      group.append(box.shade, box.bar, s("text", { x: left + 8, y: 20, class: "word" }, "grad"), box.grad, rule(left));
    }
    group.append(rule(node.labelWidth), s("rect", { width: node.width, height: ROW, rx: round, class: "outline" }));
    this.boxes.push(box);
    return group;
  }

  #sign(node, k) {
    const { at: [cx, cy], width } = this.layout.places.get(`o${k}`);
    const group = s("g", { class: "sign" }, s("title", {}, node.op));
    group.append(s("rect", { x: cx - width / 2, y: cy - 14, width, height: 28, rx: 14 }), s("text", { x: cx, y: cy + 5, "text-anchor": "middle" }, node.sign));
    this.boxes[k].sign = group;
    return group;
  }

  /** Shows numbers: `values` and `gradients` by position; NaN is a number, undefined is not known yet. */
  update(values, gradients, scaleOf = gradients) {
    const most = largest(scaleOf.filter((gradient) => gradient !== undefined));
    this.boxes.forEach((box, k) => {
      box.data.textContent = values[k] === undefined ? UNKNOWN : decimals(values[k]);
      const gradient = gradients[k];
      const lines = [box.node.id + (box.node.op ? ` (${box.node.op})` : ` (${box.node.kind})`)];
      if (values[k] !== undefined) lines.push(`data ${exact(values[k])}`);
      if (gradient !== undefined) lines.push(`grad ${exact(gradient)}`);
      box.title.textContent = lines.join("\n");
      if (!box.grad) return;
      box.grad.textContent = gradient === undefined ? UNKNOWN : decimals(gradient);
      const known = gradient !== undefined;
      const finite = known && Number.isFinite(gradient);
      const share = finite && most > 0 ? Math.abs(gradient) / most : 0;
      box.shade.setAttribute("class", `shade ${!known ? "unknown" : !finite ? "wild" : gradient > 0 ? "positive" : gradient < 0 ? "negative" : "zero"}`);
      box.shade.style.opacity = known && !finite ? 1 : share > 0 ? 0.12 + 0.88 * Math.sqrt(share) : 0;
      const length = share * (CELL_WIDTH / 2 - 2);
      box.bar.setAttribute("x", gradient < 0 ? box.middle - length : box.middle);
      box.bar.setAttribute("width", length);
    });
  }

  /** Lights what one step of the backward pass touches: {node, to, place}, positions and operand; null lights nothing. */
  light(step) {
    this.svg.querySelectorAll(".lit, .source").forEach((element) => element.classList.remove("lit", "source"));
    this.marks.replaceChildren();
    this.svg.classList.toggle("walking", step !== null);
    if (step === null) return;
    this.boxes[step.to].group.classList.add("lit");
    const seen = [this.layout.places.get(`n${step.to}`)];
    if (step.node !== null) {
      const box = this.boxes[step.node];
      box.group.classList.add("source");
      box.sign.classList.add("lit");
      for (const id of [`r${step.node}`, `e${step.node}_${step.place}`]) {
        const { path, points } = this.edges.get(id);
        path.classList.add("lit");
        this.marks.append(s("path", { d: curve(points), class: "highlight" }), s("path", { d: curve([...points].reverse()), class: "flow" }));
      }
      seen.push(this.layout.places.get(`n${step.node}`));
    }
    this.#reveal(seen);
  }

  /** Shows all of it; or, for a beginning, no smaller than its numbers can be read. */
  fit({ readable = false } = {}) {
    const { clientWidth, clientHeight } = this.frame;
    const [width, height] = this.size;
    const whole = Math.min(clientWidth / width, clientHeight / height, 1.35);
    this.scale = readable ? Math.max(whole, 0.6) : whole;
    const fits = clientWidth / this.scale >= width;
    this.view = [fits ? (width - clientWidth / this.scale) / 2 : width - clientWidth / this.scale, (height - clientHeight / this.scale) / 2];
    this.#apply();
  }

  zoom(factor, x = this.frame.clientWidth / 2, y = this.frame.clientHeight / 2) {
    if (this.empty) return;
    const scale = Math.min(Math.max(this.scale * factor, 0.08), 5);
    this.view = [this.view[0] + x / this.scale - x / scale, this.view[1] + y / this.scale - y / scale];
    this.scale = scale;
    this.#apply();
  }

  pan(x, y) {
    if (this.empty) return;
    this.view = [this.view[0] - x / this.scale, this.view[1] - y / this.scale];
    this.#apply();
  }

  #apply() {
    const { clientWidth, clientHeight } = this.frame;
    this.svg.setAttribute("viewBox", [...this.view, Math.max(clientWidth / this.scale, 1), Math.max(clientHeight / this.scale, 1)].join(" "));
  }

  /** Moves the view just far enough that places can be seen. */
  #reveal(places) {
    const { clientWidth, clientHeight } = this.frame;
    [clientWidth, clientHeight].forEach((room, axis) => {
      const reach = (place) => (axis === 0 ? place.width / 2 : ROW) + 8;
      const low = Math.min(...places.map((place) => place.at[axis] - reach(place))) + MARGIN;
      const high = Math.max(...places.map((place) => place.at[axis] + reach(place))) + MARGIN;
      const shown = room / this.scale;
      if (high > this.view[axis] + shown) this.view[axis] = high - shown;
      if (low < this.view[axis]) this.view[axis] = low;
    });
    this.#apply();
  }

  #listen() {
    const pointers = new Map();
    const frame = this.frame;
    frame.addEventListener("pointerdown", (event) => {
      if (this.empty) return;
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
      frame.setPointerCapture(event.pointerId);
    });
    frame.addEventListener("pointermove", (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) return;
      const now = [event.clientX, event.clientY];
      if (pointers.size === 2) {
        const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
        const distance = ([x, y]) => Math.hypot(x - other[0], y - other[1]);
        const { left, top } = frame.getBoundingClientRect();
        this.zoom(distance(now) / Math.max(distance(last), 1), (now[0] + other[0]) / 2 - left, (now[1] + other[1]) / 2 - top);
      } else {
        this.pan(now[0] - last[0], now[1] - last[1]);
      }
      pointers.set(event.pointerId, now);
    });
    for (const end of ["pointerup", "pointercancel"]) frame.addEventListener(end, (event) => pointers.delete(event.pointerId));
    frame.addEventListener(
      "wheel",
      (event) => {
        // A plain wheel scrolls the page; with the control key, as everywhere, it zooms.
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const { left, top } = frame.getBoundingClientRect();
        this.zoom(Math.exp(-event.deltaY / 300), event.clientX - left, event.clientY - top);
      },
      { passive: false },
    );
    new ResizeObserver(() => !this.empty && this.#apply()).observe(frame);
  }

  /** The drawing as a file of its own: its looks are written into it. */
  toFile() {
    const copy = this.svg.cloneNode(true);
    const [width, height] = this.size;
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("viewBox", `0 0 ${width} ${height}`);
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    const looks = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-family", "font-size", "font-style", "font-weight"];
    const originals = this.svg.querySelectorAll("path, rect, text");
    copy.querySelectorAll("path, rect, text").forEach((element, index) => {
      const style = getComputedStyle(originals[index]);
      for (const look of looks) element.setAttribute(look, style.getPropertyValue(look));
      element.removeAttribute("class");
      element.removeAttribute("style");
    });
    const paper = getComputedStyle(this.frame).backgroundColor;
    copy.prepend(s("rect", { width, height, fill: paper }));
    return new XMLSerializer().serializeToString(copy);
  }
}

function rule(x) {
  return s("line", { x1: x, x2: x, y1: 0, y2: ROW, class: "rule" });
}

function labelTab(width, round) {
  return `M${width} 0H${round}A${round} ${round} 0 0 0 0 ${round}V${ROW - round}A${round} ${round} 0 0 0 ${round} ${ROW}H${width}Z`;
}

function gradTab(left, right, round) {
  return `M${left} 0H${right - round}A${round} ${round} 0 0 1 ${right} ${round}V${ROW - round}A${round} ${round} 0 0 1 ${right - round} ${ROW}H${left}Z`;
}

function curve([start, ...rest]) {
  const segments = [];
  for (let k = 0; k + 2 < rest.length; k += 3) segments.push(`C${rest.slice(k, k + 3).map((point) => point.join(" ")).join(" ")}`);
  return `M${start.join(" ")}${segments.join("")}`;
}
