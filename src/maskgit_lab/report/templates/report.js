"use strict";
// Draws each figure when it comes near to the window, so that a long report opens at once.
const specs = JSON.parse(document.getElementById("figures").textContent);
const coarse = window.matchMedia("(pointer: coarse)").matches;
const config = { responsive: true, displayModeBar: false, doubleClick: "reset" };
const hidden = new Map(); // study -> the schedules that are switched off
const night = window.matchMedia("(prefers-color-scheme: dark)");
const darker = JSON.parse(document.body.dataset.dark); // colours of a light page -> colours of a dark one
const colour = /^(#[0-9a-fA-F]{6})([0-9a-fA-F]{2})?$/;
// Pixels on paper (see report.css): the width of a page, and of what is smaller there than on a screen, how much.
const paper = { width: 700, type: 13 / 16, pair: { width: 695, height: 330 }, single: { width: 340, height: 240 } };
let printing = false;

// The same values with the colours of a dark page, at any depth.
function darkened(value) {
  if (Array.isArray(value)) return value.map(darkened);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, darkened(inner)]));
  }
  const found = typeof value === "string" && value.match(colour);
  return found ? (darker[found[1]] || found[1]) + (found[2] || "") : value;
}

const hiddenIn = (plot) => hidden.get(plot.closest("section").id) || new Set();
const visibility = (data, off) => data.map((trace) => (off.has(trace.legendgroup) ? false : true));

function draw(plot) {
  if (plot.dataset.drawn === plot.dataset.figure) return;
  plot.dataset.drawn = plot.dataset.figure;
  const stored = specs[plot.dataset.figure];
  const spec = night.matches && !printing ? darkened(stored) : stored;
  const shown = visibility(spec.data, hiddenIn(plot));
  const data = spec.data.map((trace, i) => ({ ...trace, visible: shown[i] }));
  const size = printing ? (plot.closest(".pair") ? paper.pair : paper.single) : {};
  const layout = { ...spec.layout, ...size, dragmode: spec.layout.scene ? "orbit" : coarse ? false : "zoom" };
  Plotly.react(plot, data, layout, config);
}

function redraw(plot) {
  delete plot.dataset.drawn;
  draw(plot);
}

const watcher = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
  { rootMargin: "500px" },
);
const plots = [...document.querySelectorAll(".plot")];
plots.forEach((plot) => watcher.observe(plot));
night.addEventListener("change", () => plots.filter((plot) => plot.dataset.drawn).forEach(redraw));

// On paper nothing scrolls or opens: figures and tables are made to fit, and all details are shown.
const closed = new Set();
const tables = [...document.querySelectorAll(".scroll table")];
window.addEventListener("beforeprint", () => {
  document.querySelectorAll("details:not([open])").forEach((details) => closed.add(details));
  closed.forEach((details) => (details.open = true));
  tables.forEach((table) => {
    table.classList.add("paper");
    table.style.width = 0; // for a moment, to measure how narrow it can be
    table.style.setProperty("--shrink", Math.min(1, paper.width / (table.offsetWidth * paper.type)));
    table.style.width = "";
  });
  printing = true;
  plots.forEach(redraw);
});
window.addEventListener("afterprint", () => {
  printing = false;
  tables.forEach((table) => table.classList.remove("paper"));
  plots.forEach((plot) => {
    redraw(plot);
    Plotly.Plots.resize(plot);
  });
  closed.forEach((details) => (details.open = false));
  closed.clear();
});

document.querySelectorAll(".legend button").forEach((button) => {
  button.addEventListener("click", () => {
    const section = button.closest("section");
    const off = hidden.get(section.id) || new Set();
    const name = button.dataset.schedule;
    off.has(name) ? off.delete(name) : off.add(name);
    hidden.set(section.id, off);
    button.setAttribute("aria-pressed", String(!off.has(name)));
    section.querySelectorAll(".plot[data-drawn]").forEach((plot) => {
      Plotly.restyle(plot, { visible: visibility(plot.data, off) });
    });
  });
});

document.querySelectorAll(".switch").forEach((button) => {
  button.addEventListener("click", () => {
    const plot = button.closest("figure").querySelector(".plot");
    const next = button.dataset.other;
    button.dataset.other = plot.dataset.figure;
    plot.dataset.figure = next;
    button.textContent = specs[next].layout.scene ? "as a map" : "as a surface";
    Plotly.purge(plot);
    draw(plot);
  });
});

document.querySelectorAll(".tiles img").forEach((image) => {
  image.addEventListener("click", () => image.closest("figure").classList.toggle("large"));
});
