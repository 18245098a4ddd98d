"use strict";
/* Cuts that can be moved: one slider a cut, lying on the axis of its distribution. */
const THUMB = 22;

/** Move one cut to the edge nearest to a value; the others give way so that cuts keep their order. */
function moveCut(set, index, value) {
  const edge = d3.bisectCenter(set.edges, value);
  set.at[index] = edge;
  const forward = set.direction > 0 ? 1 : -1;
  set.at.forEach((other, k) => {
    if ((k > index && forward * other < forward * edge) || (k < index && forward * other > forward * edge))
      set.at[k] = edge;
  });
}

/** Sliders for the cuts of a set, over a chart's x axis; `moved` is called after each step. */
function sliders(set, range, names, label, moved) {
  const place = el("div", { class: "sliders" });
  const inputs = names.map((name, index) =>
    el("input", {
      type: "range",
      min: range[0],
      max: range[1],
      step: "any",
      class: `slider cut-${name.replaceAll(" ", "-")}`,
      "aria-label": `${label}: where ${name} begins`,
      oninput: (event) => {
        moveCut(set, index, Number(event.target.value));
        show();
        moved();
      },
      onkeydown: (event) => step(event, index),
      onchange: () => show(),
    }),
  );
  /* `step: any` leaves the arrow keys without a step of their own: one edge each. */
  function step(event, index) {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!by) return;
    event.preventDefault();
    const edge = Math.min(Math.max(set.at[index] + by, 0), set.edges.length - 1);
    moveCut(set, index, set.edges[edge]);
    show();
    moved();
  }
  function show() {
    inputs.forEach((input, index) => {
      const value = set.edges[set.at[index]];
      input.value = value;
      input.setAttribute("aria-valuetext", short(value));
    });
  }
  show();
  place.append(...inputs);
  return { place, show };
}

/** Lay the sliders over the chart whose plot area spans `left` to `right` px. */
function align(place, left, right) {
  place.style.marginLeft = `${left - THUMB / 2}px`;
  place.style.width = `${right - left + THUMB}px`;
}

const isMoved = (set) => set.at.some((edge, index) => edge !== set.policy[index]);
