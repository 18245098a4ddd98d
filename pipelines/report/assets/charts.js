"use strict";
/* What several pages draw, with Observable Plot. */
const MARGIN = 14;

const nothing = () => el("p", { class: "note" }, "No film has a verdict on quality.");

/** Bars of a distribution; each bar has the class of the cuts it has passed. */
function bars(distribution, classOf) {
  const width = (distribution.high - distribution.low) / distribution.bars.length;
  return distribution.bars.map((films, index) => {
    const from = distribution.low + index * width;
    return { from, to: from + width, films, class: classOf(from + width / 2) };
  });
}

/** A distribution with its cuts as lines. */
function distributionChart(distribution, { width, height = 132, classOf, cuts, label, x, tip }) {
  return Plot.plot({
    width,
    height,
    marginLeft: MARGIN,
    marginRight: MARGIN,
    marginTop: 12,
    marginBottom: cuts.length ? 54 : 34,
    ariaLabel: label,
    x: {
      domain: [distribution.low, distribution.high],
      label: x,
      ticks: Math.max(3, Math.round(width / 70)),
      tickSize: cuts.length ? 0 : 4,
      tickPadding: cuts.length ? 24 : 3,
      labelAnchor: "center",
    },
    y: { type: "sqrt", axis: null },
    marks: [
      Plot.rectY(bars(distribution, classOf), {
        x1: "from",
        x2: "to",
        y: "films",
        fill: (bar) => colour(bar.class),
        insetLeft: 0.5,
        insetRight: 0.5,
        ...(tip
          ? {
              title: (bar) => `${short(bar.from)} to ${short(bar.to)}: ${whole(bar.films)} films`,
              tip: { format: { fill: false } },
            }
          : {}),
      }),
      Plot.ruleY([0], { stroke: "var(--line)" }),
      Plot.ruleX(cuts, { stroke: "var(--ink)", strokeWidth: 1.5 }),
    ],
  });
}

/** Shares of each row in stacked bars, one row a name, with how many films it has. */
function stackChart(rows, { width, order, label, classOf = (name) => name }) {
  if (!rows.length) return nothing();
  const parts = rows.flatMap(({ name, counts }) => {
    const all = d3.sum(counts);
    return order.map((part, index) => ({ name, part, films: counts[index], share: all ? counts[index] / all : 0 }));
  });
  const left = Math.min(120, 18 + 7 * d3.max(rows, (row) => spoken(row.name).length));
  return Plot.plot({
    width,
    height: 34 + 30 * rows.length,
    marginLeft: left,
    marginRight: 62,
    marginTop: 4,
    marginBottom: 28,
    ariaLabel: label,
    x: { percent: true, label: "% of films", ticks: 4, labelAnchor: "center" },
    y: { label: null, domain: rows.map((row) => row.name), tickFormat: spoken, tickSize: 0, padding: 0.25 },
    color: { domain: order, range: order.map((name) => colour(classOf(name))) },
    marks: [
      Plot.barX(parts, {
        y: "name",
        x: "share",
        fill: "part",
        order,
        inset: 0.5,
        title: (part) =>
          `${spoken(part.name)}, ${part.part}: ${whole(part.films)} films (${(100 * part.share).toFixed(1)} %)`,
        tip: true,
      }),
      Plot.text(rows, {
        y: "name",
        x: 1,
        text: (row) => whole(d3.sum(row.counts)),
        textAnchor: "start",
        dx: 6,
        fill: "var(--soft)",
      }),
    ],
  });
}

/** Words for colours. */
function legend(names, classOf = (name) => name) {
  return el(
    "div",
    { class: "legend" },
    ...names.map((name) => el("span", {}, el("i", { style: `background:${colour(classOf(name))}` }), spoken(name))),
  );
}

/** Five quantiles of quality a group, with the cuts between regimes. */
function spreadChart(rows, { width, cuts, label }) {
  if (!rows.length) return nothing();
  const left = Math.min(120, 18 + 7 * d3.max(rows, (row) => spoken(row.name).length));
  return Plot.plot({
    width,
    height: 40 + 26 * rows.length,
    marginLeft: left,
    marginRight: 62,
    marginTop: 4,
    marginBottom: 32,
    ariaLabel: label,
    x: { domain: [0, 1], label: "quality", labelAnchor: "center", ticks: 5 },
    y: { label: null, domain: rows.map((row) => row.name), tickFormat: spoken, tickSize: 0 },
    marks: [
      Plot.ruleX(cuts, { stroke: "var(--soft)", strokeDasharray: "3 3" }),
      Plot.ruleY(rows, { y: "name", x1: (row) => row.at[0], x2: (row) => row.at[4], stroke: "var(--bar)" }),
      Plot.ruleY(rows, {
        y: "name",
        x1: (row) => row.at[1],
        x2: (row) => row.at[3],
        stroke: "var(--bar)",
        strokeWidth: 9,
      }),
      Plot.dot(rows, {
        y: "name",
        x: (row) => row.at[2],
        fill: "var(--ink)",
        r: 4,
        title: (row) =>
          `${spoken(row.name)}: median ${short(row.at[2])}, half between ${short(row.at[1])} and ${short(row.at[3])}`,
        tip: true,
      }),
      Plot.text(rows, {
        y: "name",
        x: 1,
        text: (row) => whole(row.films),
        textAnchor: "start",
        dx: 10,
        fill: "var(--soft)",
      }),
    ],
  });
}
