"use strict";
// plotly.js is most of a page, so it is compressed: to two fifths, base64 included.
const unpacked = () => {
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (c) => c.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
};

const draw = async () => {
  const boxes = [...document.querySelectorAll(".chart")];
  if (!boxes.length) return;
  const library = document.createElement("script");
  library.textContent = await unpacked();
  document.head.append(library);
  for (const box of boxes) {
    const figure = JSON.parse(box.querySelector("script").textContent);
    box.textContent = "";
    Plotly.newPlot(box, figure.data, figure.layout, {responsive: true, displayModeBar: false});
  }
  for (const part of document.querySelectorAll("details")) {
    part.addEventListener("toggle", () => {
      for (const box of part.querySelectorAll(".chart")) if (part.open) Plotly.Plots.resize(box);
    });
  }
  const paper = 320;
  window.addEventListener("beforeprint", () => {
    for (const box of boxes) Plotly.relayout(box, {width: paper, autosize: false});
  });
  window.addEventListener("afterprint", () => {
    for (const box of boxes) Plotly.relayout(box, {width: null, autosize: true});
  });
};
draw();

// What scrolls sideways can be reached by keyboard.
const reach = () => {
  for (const wide of document.querySelectorAll(".wide")) {
    if (wide.scrollWidth > wide.clientWidth) {
      wide.tabIndex = 0;
      wide.setAttribute("role", "group");
      wide.setAttribute("aria-label", wide.querySelector("caption")?.textContent ?? "text");
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) wide.removeAttribute(name);
    }
  }
};
window.addEventListener("resize", reach);
document.addEventListener("toggle", reach, true);
reach();
