// The list of stored runs, with a search over what can be seen of them.

import { list } from "./api.js";
import { h } from "./dom.js";

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export async function showRuns(view) {
  const search = h("input", { type: "search", id: "run-search", autocomplete: "off" });
  const status = h("p", { class: "hint", role: "status" }, "Looking…");
  const table = h("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Table of stored runs" });
  view.replaceChildren(
    h("h1", { id: "runs-title" }, "Stored runs"),
    h("p", { class: "row" }, h("label", { class: "inline", for: "run-search" }, "Search ", search)),
    status,
    table,
  );
  try {
    const [runs, graphs] = await Promise.all([list("/v1/runs?page_size=500", 2000), list("/v1/graphs?page_size=500", 2000)]);
    const names = new Map(graphs.items.map((graph) => [graph.id, graph]));
    const rows = runs.items.map((run) => row(run, names.get(run.graph_id)));
    const filter = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = rows.filter(({ text }) => words.every((word) => text.includes(word)));
      status.textContent = `${found.length} of ${rows.length}${runs.more ? " newest" : ""} runs`;
      table.replaceChildren(found.length ? h("table", { class: "runs" },
        h("thead", {}, h("tr", {}, ["graph", "kind", "state", "nodes", "when"].map((title) => h("th", { scope: "col", class: title === "nodes" ? "numeric" : null }, title)))),
        h("tbody", {}, found.slice(0, 500).map(({ item }) => item))) : h("p", {}, rows.length ? "None of them matches." : ["Nothing is stored yet. ", h("a", { href: "/" }, "Write an expression"), ", and save it."]));
    };
    search.addEventListener("input", filter);
    filter();
  } catch (problem) {
    status.textContent = problem.message;
  }
}

function row(run, graph) {
  const name = graph?.name ?? `graph ${run.graph_id.slice(0, 8)}`;
  const when = WHEN.format(new Date(run.created_at));
  const item = h("tr", {}, h("th", { scope: "row" }, h("a", { href: `/runs/${run.id}` }, h("bdi", {}, name))), h("td", {}, run.kind), h("td", {}, run.state),
    h("td", { class: "numeric" }, graph ? String(graph.node_count) : "–"), h("td", {}, h("time", { datetime: run.created_at }, when)));
  return { item, text: [name, run.id, run.graph_id, run.kind, run.state, when, run.created_at].join(" ").toLowerCase() };
}
