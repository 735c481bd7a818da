// Taking it elsewhere: a stored run with its own link, and the same request as curl, as Python, or the drawing as SVG.

import { post } from "./api.js";
import { h } from "./dom.js";
import { requestText } from "./source.js";

export class Share {
  constructor(panel, current, drawing, failed) {
    this.current = current;
    this.drawing = drawing;
    this.failed = failed;
    this.status = h("p", { role: "status", class: "hint" });
    const button = (text, act, primary = false) => h("button", { type: "button", class: primary ? "primary" : "quiet", onclick: act }, text);
    this.name = h("input", { type: "text", id: "run-name", size: 18, maxlength: 200, autocomplete: "off" });
    panel.replaceChildren(
      h("p", {}, "A stored run keeps its numbers and has a link of its own, for tomorrow or for a friend."),
      h("div", { class: "row" }, h("label", { class: "inline", for: "run-name" }, "Name ", this.name), button("Save and get the link", () => this.save(), true), button("Copy as curl", () => this.copy("curl")),
        button("Copy as Python", () => this.copy("Python")), button("Copy as SVG", () => this.copy("SVG"))),
      this.status,
    );
  }

  async save() {
    const state = this.current();
    if (!state) return;
    const { body, changed } = state;
    try {
      const run = await post("/v1/runs", requestText(named(body, this.name.value.trim()), { ...changed, store: true }));
      const link = `/runs/${run.id}`;
      history.pushState({}, "", link);
      dispatchEvent(new CustomEvent("chainrule:moved"));
      this.status.replaceChildren("Stored: ", h("a", { href: link }, new URL(link, location.origin).href));
      dispatchEvent(new CustomEvent("chainrule:stored", { detail: run }));
    } catch (problem) {
      this.failed(problem);
    }
  }

  async copy(kind) {
    const state = this.current();
    if (!state) return;
    const { body, changed } = state;
    const request = JSON.stringify(JSON.parse(requestText(body, changed)), null, 2);
    const url = new URL("/v1/runs", location.origin).href;
    const text = kind === "SVG" ? this.drawing.toFile() : kind === "curl" ? curl(url, request) : python(url, request);
    try {
      await navigator.clipboard.writeText(text);
      this.status.textContent = `Copied as ${kind}.`;
    } catch {
      // Without permission for the clipboard, the text is there to be selected.
      const field = h("textarea", { readonly: true, rows: 10, "aria-label": `As ${kind}` });
      field.value = text;
      this.status.replaceChildren(`As ${kind}:`, field);
      field.select();
    }
  }
}

/** The request with a name on its graph. */
function named(body, name) {
  if (name === "" || body.graph === undefined) return body;
  // Written at the end: of two members with one name the last counts, and the document's numbers stay as they were typed.
  const graph = `${body.graph.trimEnd().slice(0, -1)},"name":${JSON.stringify(name)}}`;
  return { ...body, graph };
}

function curl(url, request) {
  return `curl --json '${request.replaceAll("'", "'\\''")}' '${url}'\n`;
}

function python(url, request) {
  // JSON inside a raw string literal: only the quotes that would end it need care.
  const literal = JSON.stringify(request);
  return `import json
import urllib.request

request = json.loads(${literal})
call = urllib.request.Request(
    ${JSON.stringify(url)},
    data=json.dumps(request).encode(),
    headers={"Content-Type": "application/json"},
)
with urllib.request.urlopen(call) as response:
    run = json.load(response)
for node, gradient in run["gradients"].items():
    print(node, gradient)
`;
}
