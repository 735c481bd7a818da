// The service, as the page talks to it.

import { byId } from "./dom.js";

/** What the service says is wrong (RFC 9457), or that it did not answer at all. */
export class Problem extends Error {
  constructor(document, status) {
    super(document.detail ?? document.title ?? "The service did not answer.");
    this.code = document.code ?? "UNREACHABLE";
    this.errors = document.errors ?? [];
    this.truncated = document.errors_truncated ?? false;
    this.status = status;
    this.requestId = document.request_id ?? null;
  }
}

const KEY = "chainrule.key";

export function get(path) {
  return call("GET", path);
}

/** Posts JSON; `body` may also be JSON text already, so that numbers stay as they were typed. */
export function post(path, body) {
  return call("POST", path, typeof body === "string" ? body : JSON.stringify(body));
}

/** All rows of a list, page by page, up to `most`; `more` tells whether there are further ones. */
export async function list(path, most = 500) {
  const items = [];
  let token = null;
  do {
    const url = new URL(path, location.origin);
    if (token) url.searchParams.set("page_token", token);
    const page = await get(url.pathname + url.search);
    items.push(...page.items);
    token = page.next_page_token ?? null;
  } while (token && items.length < most);
  return { items, more: token !== null };
}

async function call(method, path, body) {
  for (;;) {
    const headers = { Accept: "application/json" };
    const key = sessionStorage.getItem(KEY);
    if (key) headers.Authorization = `Bearer ${key}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(path, { method, headers, body });
    } catch {
      throw new Problem({ detail: "The service cannot be reached. Is it still running?" }, 0);
    }
    const text = await response.text();
    let document;
    try {
      document = text ? JSON.parse(text) : {};
    } catch {
      document = { detail: `The service answered ${response.status} with something that is no JSON.` };
    }
    if (response.ok) return document;
    if (response.status === 401) {
      byId("key-button").hidden = false;
      // Another request may have been given a key while this one was on its way.
      if (sessionStorage.getItem(KEY) !== key || (await askForKey(key ? "That key was not accepted." : ""))) continue;
    }
    throw new Problem(document, response.status);
  }
}

let asking = null;

/** Opens the dialog; resolves to whether a key was given. */
export function askForKey(problem = "") {
  asking ??= new Promise((resolve) => {
    const dialog = byId("key-dialog");
    byId("key-problem").textContent = problem;
    byId("key").value = "";
    dialog.addEventListener(
      "close",
      () => {
        asking = null;
        const key = byId("key").value.trim();
        const given = dialog.returnValue === "use" && key !== "";
        if (given) sessionStorage.setItem(KEY, key);
        resolve(given);
      },
      { once: true },
    );
    dialog.returnValue = "";
    dialog.showModal();
  });
  return asking;
}
