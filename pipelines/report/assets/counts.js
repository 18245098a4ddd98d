"use strict";
/* Counts that follow the cuts: the bar on top, regimes by facet, severities, defects that come together. */
const SHOWN_FACETS = {
  view: "View",
  split: "Split",
  portable: "Examination",
  domain: "Intensity domain",
  status: "Status",
  route: "Who decided",
};

/** The bar on top: regimes as they are now, and how that differs from the policy. */
lrrg.drawBar = function (films) {
  const now = tally(films.regime, REGIMES.length);
  const before = tally(films.facet.regime.codes, REGIMES.length);
  const all = films.number;
  const changed = lrrg.changed(films);
  byId("stack").replaceChildren(
    ...REGIMES.map((name, index) =>
      el("span", { class: `part ${name}`, style: `flex-grow:${now[index]}`, title: `${name}: ${whole(now[index])}` }),
    ),
  );
  byId("stack").setAttribute("aria-label", REGIMES.map((name, index) => `${name} ${now[index]}`).join(", "));
  byId("tally").replaceChildren(
    ...REGIMES.map((name, index) => {
      const moved = now[index] - before[index];
      return el(
        "span",
        { class: "count" },
        badge(name),
        el("b", { id: `count-${name}` }, whole(now[index])),
        el("small", {}, percent(now[index], all)),
        moved ? el("em", {}, `${moved > 0 ? "+" : "−"}${whole(Math.abs(moved))}`) : null,
      );
    }),
    now[REGIMES.length] ? el("span", { class: "count" }, badge(null), el("b", {}, whole(now[REGIMES.length]))) : "",
    changed ? el("span", { class: "count", id: "changed" }, `${whole(changed)} films change`) : "",
  );
  byId("reset").hidden = ![films.quality, ...films.cuts].some(isMoved);
};

/** Films a code, absent ones last. */
function tally(codes, names) {
  const counts = new Array(names + 1).fill(0);
  for (let i = 0; i < codes.length; i++) counts[Math.min(codes[i], names)]++;
  return counts;
}

/** Regimes by view, split and so on. */
lrrg.facetCards = function (films) {
  const cards = Object.entries(SHOWN_FACETS).map(([facet, title]) => ({ facet, place: el("div"), title }));
  byId("facets").replaceChildren(...cards.map(({ title, place }) => card(`Regimes by ${title.toLowerCase()}`, place)));
  const rows = ({ facet }) => {
    const { names, codes } = films.facet[facet];
    return crossed(codes, names.length, films.regime, REGIMES.length)
      .map((counts, index) => ({ name: names[index] ?? "unknown", counts: counts.slice(0, REGIMES.length) }))
      .filter((row) => d3.sum(row.counts));
  };
  return live(cards, (each, width) =>
    stackChart(rows(each), { width, order: REGIMES, label: `Regimes by ${each.title}` }),
  );
};

/** Severities of every aspect. */
lrrg.severityCard = function (films) {
  const place = el("div");
  const order = ["none", "mild", "moderate", "severe"];
  const classOf = (name) => `s${order.indexOf(name)}`;
  byId("severities").replaceChildren(el("figcaption", {}, "Severity of each defect"), legend(order, classOf), place);
  const rows = () =>
    lrrg.data.aspects.map((aspect) => ({
      name: aspect,
      counts: tally(films.severity[aspect], order.length).slice(0, order.length),
    }));
  return live([{ place }], (_, width) =>
    stackChart(rows(), { width, order, classOf, label: "Severity of each defect" }),
  );
};

/** How often two defects are found on one film, as a share of the films with the one on the left. */
lrrg.togetherCard = function (films) {
  const place = el("div");
  byId("together").replaceChildren(
    el("figcaption", {}, "Defects that come together"),
    el("p", { class: "note" }, "Of the films with the defect on the left, the share that also has the one above."),
    place,
  );
  return live([{ place }], (_, width) => togetherChart(togetherCells(films), width));
};

function togetherCells(films) {
  const { aspects } = lrrg.data;
  return aspects.flatMap((first) => {
    const both = new Array(aspects.length).fill(0);
    const has = films.severity[first];
    aspects.forEach((second, column) => {
      const also = films.severity[second];
      for (let i = 0; i < has.length; i++)
        if (has[i] !== ABSENT && has[i] >= 1 && also[i] !== ABSENT && also[i] >= 1) both[column]++;
    });
    const own = both[aspects.indexOf(first)];
    return aspects.map((second, column) => ({
      first,
      second,
      films: both[column],
      own,
      share: own ? both[column] / own : 0,
    }));
  });
}

function togetherChart(cells, width) {
  const { aspects } = lrrg.data;
  const small = width < 460;
  const said = (cell) => (cell.first === cell.second ? whole(cell.own) : cell.own ? percent(cell.films, cell.own) : "");
  return Plot.plot({
    width,
    height: 250,
    marginLeft: 84,
    marginTop: 30,
    marginBottom: 8,
    marginRight: 8,
    ariaLabel: "Defects that come together",
    x: {
      domain: aspects,
      axis: "top",
      label: null,
      tickSize: 0,
      tickFormat: (name) => (small ? name.slice(0, 5) : name),
    },
    y: { domain: aspects, label: null, tickSize: 0 },
    opacity: { domain: [0, 1], range: [0.04, 0.85] },
    marks: [
      Plot.cell(cells, {
        x: "second",
        y: "first",
        inset: 1,
        rx: 3,
        fill: (cell) => (cell.first === cell.second ? "var(--bar)" : "var(--accent)"),
        fillOpacity: (cell) => (cell.first === cell.second ? 0.35 : cell.share),
      }),
      Plot.text(cells, {
        x: "second",
        y: "first",
        text: said,
        fill: "var(--ink)",
        fontSize: small ? 9 : 11,
        title: (cell) => `${cell.first} and ${cell.second}: ${whole(cell.films)} of ${whole(cell.own)} films`,
        tip: true,
      }),
    ],
  });
}

/** Charts that are drawn again when the cuts move; returns the function that does. */
function live(cards, draw) {
  const widths = new Map();
  const again = () =>
    cards.forEach((each) => widths.get(each) && each.place.replaceChildren(draw(each, widths.get(each))));
  cards.forEach((each) =>
    drawn(each.place, (width) => {
      widths.set(each, width);
      each.place.replaceChildren(draw(each, width));
    }),
  );
  return again;
}
