"use strict";
// Draws each figure when it comes near to the window, so that a long report opens at once.
const specs = JSON.parse(document.getElementById("figures").textContent);
const coarse = window.matchMedia("(pointer: coarse)").matches;
const config = { responsive: true, displayModeBar: false, doubleClick: "reset" };
const hidden = new Map(); // study -> the schedules that are switched off

const hiddenIn = (plot) => hidden.get(plot.closest("section").id) || new Set();
const visibility = (data, off) => data.map((trace) => (off.has(trace.legendgroup) ? false : true));

function draw(plot) {
  if (plot.dataset.drawn === plot.dataset.figure) return;
  plot.dataset.drawn = plot.dataset.figure;
  const spec = specs[plot.dataset.figure];
  const shown = visibility(spec.data, hiddenIn(plot));
  const data = spec.data.map((trace, i) => ({ ...trace, visible: shown[i] }));
  const layout = { ...spec.layout, dragmode: spec.layout.scene ? "orbit" : coarse ? false : "zoom" };
  Plotly.react(plot, data, layout, config);
}

const watcher = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
  { rootMargin: "500px" },
);
const plots = [...document.querySelectorAll(".plot")];
plots.forEach((plot) => watcher.observe(plot));
window.addEventListener("beforeprint", () => plots.forEach(draw));

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
