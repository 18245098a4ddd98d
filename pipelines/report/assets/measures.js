"use strict";
/* Quality and every measure: distribution, cuts, what the cuts give. */

/** The distribution of quality with the two cuts between regimes. */
lrrg.qualityCard = function (films, recount) {
  const distribution = lrrg.data.quality;
  const set = films.quality;
  const classOf = (value) =>
    value < set.edges[set.at[0]] ? "low" : value < set.edges[set.at[1]] ? "borderline" : "high";
  const title = "Quality: probability that a reader would not call the film low-quality";
  return cutCard(byId("quality"), {
    title,
    distribution,
    set,
    classOf,
    names: ["borderline", "high"],
    x: "quality",
    height: 190,
    legend: REGIMES,
    recount: () => recount(null),
  });
};

/** A distribution under sliders; returns what draws it again. */
function cutCard(place, { title, note, distribution, set, classOf, names, x, height, legend: words, recount }) {
  const chart = el("div");
  const said = el("p", { class: "cuts" });
  let width = 0;
  const draw = () => {
    if (!width) return;
    const cuts = set ? set.at.map((edge) => set.edges[edge]) : [];
    chart.replaceChildren(
      distributionChart(distribution, { width, height, classOf, cuts, label: title, x, tip: true }),
    );
    if (rail) align(rail.place, MARGIN, width - MARGIN);
    said.textContent = set
      ? `${names.map((name, index) => `${name} from ${short(cuts[index])}`).join(" · ")}${isMoved(set) ? " (moved)" : ""}`
      : `median ${short(distribution.median)}`;
  };
  const rail = set
    ? sliders(set, [distribution.low, distribution.high], names, title, () => {
        draw();
        recount();
      })
    : null;
  place.replaceChildren(
    el("figcaption", {}, title),
    note ? el("p", { class: "note" }, note) : "",
    words ? legend(words) : "",
    chart,
    rail ? rail.place : "",
    said,
  );
  drawn(chart, (now) => {
    width = now;
    draw();
  });
  return () => {
    if (rail) rail.show();
    draw();
  };
}

const LEVELS = ["mild", "moderate", "severe"];

/** Measures of one intensity domain, in the order of the tools; returns what draws them again. */
lrrg.measureCards = function (domain, onlyCut, recount) {
  const redraw = [];
  const cards = lrrg.data.measures.flatMap((measure) =>
    (measure.by[domain] ?? []).flatMap((distribution) => {
      const sets = distribution.cuts.length ? distribution.cuts : onlyCut ? [] : [null];
      return sets.map((set) => {
        const place = el("figure", { class: "card measure" });
        place.dataset.measure = measure.name;
        redraw.push(measureCard(place, measure, distribution, set, recount));
        return place;
      });
    }),
  );
  byId("cards").replaceChildren(...cards);
  return () => redraw.forEach((again) => again());
};

function measureCard(place, measure, distribution, set, recount) {
  const reached = (value) =>
    set ? set.at.filter((edge) => set.direction * value >= set.direction * set.edges[edge]).length : 0;
  const unit = distribution.on === "z" ? "robust z" : measure.unit;
  return cutCard(place, {
    title: measure.name,
    note: measure.summary,
    distribution,
    set,
    classOf: (value) => `s${reached(value)}`,
    names: LEVELS.slice(0, set ? set.at.length : 0),
    x: unit,
    recount: () => recount(set.aspect),
  });
}

/** Tabs for the intensity domains, the commonest first. */
lrrg.domainTabs = function (films, choose) {
  const { names, codes } = films.facet.domain;
  const counts = tally(codes, names.length);
  const order = d3
    .range(names.length)
    .filter((index) => counts[index])
    .sort((a, b) => counts[b] - counts[a]);
  const tabs = order.map((index) =>
    el("button", { onclick: () => pick(index) }, `${names[index]} (${whole(counts[index])})`),
  );
  function pick(index) {
    tabs.forEach((tab, k) => tab.setAttribute("aria-pressed", order[k] === index));
    choose(names[index]);
  }
  byId("domains").replaceChildren(...tabs);
  if (order.length) pick(order[0]);
};
