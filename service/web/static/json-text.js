// Where in a JSON text each value stands, so that an error's JSON pointer becomes a place to look at.

export class JsonTextError extends Error {
  constructor(message, offset) {
    super(message);
    this.offset = offset;
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const BLANK = /[ \t\r\n]*/y;
const WORDS = ["true", "false", "null"];
const DEEPEST = 200;

/** A Map from JSON pointer to [start, end] of every value in the text; a JsonTextError says where it is no JSON. */
export function places(text) {
  const found = new Map();
  let at = 0;

  function match(pattern) {
    pattern.lastIndex = at;
    const matched = pattern.exec(text);
    if (!matched) return null;
    at = pattern.lastIndex;
    return matched[0];
  }

  function fail(expected) {
    const seen = at < text.length ? `not ${JSON.stringify(text.slice(at, at + 12))}` : "but the text ends";
    throw new JsonTextError(`Expected ${expected}, ${seen}.`, at);
  }

  function value(pointer, depth) {
    if (depth > DEEPEST) throw new JsonTextError("This is nested too deeply.", at);
    match(BLANK);
    const start = at;
    if (text[at] === "{") members(pointer, depth);
    else if (text[at] === "[") elements(pointer, depth);
    else if (text[at] === '"') match(STRING) ?? fail("a string with its closing quote");
    else {
      const word = WORDS.find((each) => text.startsWith(each, at));
      if (word) at += word.length;
      else match(NUMBER) ?? fail("a value");
    }
    found.set(pointer, [start, at]);
    match(BLANK);
  }

  function separated(close, one) {
    at += 1;
    match(BLANK);
    if (text[at] === close) {
      at += 1;
      return;
    }
    for (;;) {
      one();
      if (text[at] === close) break;
      if (text[at] !== ",") fail(`"," or "${close}"`);
      at += 1;
      match(BLANK);
    }
    at += 1;
  }

  function members(pointer, depth) {
    separated("}", () => {
      const start = at;
      const key = match(STRING) ?? fail("a name in double quotes");
      const name = JSON.parse(key).replaceAll("~", "~0").replaceAll("/", "~1");
      found.set(`${pointer}/${name}#name`, [start, at]);
      match(BLANK);
      if (text[at] !== ":") fail('":"');
      at += 1;
      value(`${pointer}/${name}`, depth + 1);
    });
  }

  function elements(pointer, depth) {
    let index = 0;
    separated("]", () => value(`${pointer}/${index++}`, depth + 1));
  }

  value("", 0);
  if (at < text.length) fail("nothing more");
  return found;
}

/** The place of a pointer, or of the nearest value around it. */
export function placeOf(found, pointer) {
  for (let path = pointer; ; path = path.slice(0, path.lastIndexOf("/"))) {
    const place = found.get(path) ?? found.get(`${path}#name`);
    if (place) return place;
    if (path === "") return [0, 0];
  }
}
