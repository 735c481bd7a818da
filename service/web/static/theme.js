// Runs before the first paint, so that a chosen theme does not flash.
try {
  const theme = localStorage.getItem("chainrule.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; then the system's theme it is.
}
