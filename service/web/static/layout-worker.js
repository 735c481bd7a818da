// Graphviz, away from the page's own thread: a layout that takes long can be given up.

importScripts("vendor/viz-global.js");

const graphviz = Viz.instance();

onmessage = async ({ data: dot }) => {
  try {
    postMessage({ layout: (await graphviz).renderJSON(dot) });
  } catch (error) {
    postMessage({ problem: String(error) });
  }
};
