// The text field: errors are marked under the words they speak of, and a half-written text survives a reload.

import { byId, h } from "./dom.js";

const KEPT = "chainrule.text";

export class Editor {
  /** `changed(text)` is called for every change that a person makes. */
  constructor(changed) {
    this.text = byId("text");
    this.backdrop = document.querySelector("#editor .backdrop");
    this.problems = byId("problems");
    this.text.addEventListener("input", () => {
      this.keep();
      this.mark([]);
      changed(this.value);
    });
    this.text.addEventListener("scroll", () => this.#align());
    // Tab leaves the field, as everywhere on the page: a field that swallows it is a trap for the keyboard.
    new ResizeObserver(() => this.#align()).observe(this.text);
  }

  get value() {
    return this.text.value;
  }

  /** Puts a text there; one that is only looked at does not take the place of what a person was writing. */
  load(text, { keep = true } = {}) {
    this.text.value = text;
    this.text.rows = Math.min(Math.max(text.split("\n").length + 1, 8), 18);
    this.text.scrollTop = 0;
    if (keep) this.keep();
    this.mark([]);
  }

  keep() {
    try {
      localStorage.setItem(KEPT, this.text.value);
    } catch {
      // Storage is full or forbidden: the text then lives as long as the page.
    }
  }

  static kept() {
    try {
      return localStorage.getItem(KEPT);
    } catch {
      return null;
    }
  }

  /** Replaces one place of the text and keeps the cursor where it was. */
  replace([start, end], text) {
    const { selectionStart, selectionEnd, scrollTop } = this.text;
    const shift = (at) => (at >= end ? at + text.length - (end - start) : at);
    this.text.value = this.value.slice(0, start) + text + this.value.slice(end);
    this.text.setSelectionRange(shift(selectionStart), shift(selectionEnd));
    this.text.scrollTop = scrollTop;
    this.keep();
    this.mark([]);
  }

  /** Shows what is wrong: [{detail, place: [start, end] | null, action}]. */
  show(errors) {
    this.mark(errors.map((error) => error.place).filter(Boolean));
    this.problems.replaceChildren(
      ...errors.slice(0, 8).map((error) =>
        h("p", { class: "problem" }, error.place ? [this.#link(error.place), " "] : null, error.detail, error.action ? [" ", error.action] : null),
      ),
      errors.length > 8 ? h("p", { class: "problem" }, `and ${errors.length - 8} more`) : "",
    );
    this.text.setAttribute("aria-invalid", String(errors.length > 0));
    byId("drawing").classList.toggle("stale", errors.length > 0);
  }

  clear() {
    this.problems.replaceChildren();
    this.text.removeAttribute("aria-invalid");
    byId("drawing").classList.remove("stale");
    this.mark([]);
  }

  /** Marks places of the text. */
  mark(marks) {
    const parts = [];
    let at = 0;
    for (const [start, end] of [...marks].sort((a, b) => a[0] - b[0])) {
      if (start < at) continue;
      parts.push(this.value.slice(at, start), h("mark", {}, this.value.slice(start, Math.max(end, start + 1))));
      at = Math.max(end, start + 1);
    }
    // The newline keeps the backdrop as tall as the text field's own content.
    this.backdrop.replaceChildren(...parts, this.value.slice(at), "\n");
    this.#align();
  }

  #link([start, end]) {
    const before = this.value.slice(0, start);
    const line = before.split("\n").length;
    const column = start - before.lastIndexOf("\n");
    const go = () => {
      this.text.focus();
      this.text.setSelectionRange(start, end);
    };
    return h("button", { type: "button", class: "place", onclick: go }, `line ${line}, column ${column}`);
  }

  #align() {
    this.backdrop.style.width = `${this.text.clientWidth}px`;
    this.backdrop.style.height = `${this.text.clientHeight}px`;
    this.backdrop.scrollTop = this.text.scrollTop;
    this.backdrop.scrollLeft = this.text.scrollLeft;
  }
}
