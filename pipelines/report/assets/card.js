"use strict";
/* The image card: the film, the verdict, its measures among good films, the agent's steps. */
/* Robust z beyond which a measure is drawn at the edge. */
const REACH = 8;

lrrg.start = async function () {
  await lrrg.unpack();
  const { data } = lrrg;
  const { told } = data;
  byId("title").textContent = data.title;
  byId("lead").textContent = [
    told.width && `${told.width} × ${told.height} px`,
    told.bits && `${told.bits} bits`,
    told.file_format,
    told.intensity_domain,
    told.view,
  ]
    .filter(Boolean)
    .join(" · ");
  byId("footer").textContent =
    `Written by lrrg ${data.version}. This file ${data.picture ? "holds a picture of the film: it must not leave this machine; it " : ""}asks no network for anything.`;
  byId("picture").replaceChildren(
    data.picture ? filmFigure(data.picture, data.title) : el("p", {}, "No picture: the file could not be read."),
  );
  verdictCard(data);
  stepCard(data.steps);
  if (told.measures) populationCards(told, data.cuts);
  else ["adds", "population", "values"].forEach((id) => byId(id).remove());
  document.documentElement.dataset.ready = "yes";
};

function verdictCard({ told, aspects }) {
  const severities = aspects.map((aspect) => told.severities?.[aspect] ?? null);
  byId("verdict").replaceChildren(
    el("figcaption", {}, "Verdict"),
    el(
      "p",
      { class: "big" },
      badge(told.regime ?? null),
      told.quality === undefined ? "" : ` quality ${told.quality.toFixed(3)}`,
    ),
    el("p", {}, marks(aspects, severities)),
    el("p", { class: "note" }, told.rationale || told.error_detail || told.detail || ""),
    el(
      "p",
      { class: "note" },
      `status ${spoken(told.status)}, decided by ${told.route ?? "nobody"}${told.confidence ? `, confidence ${told.confidence.toFixed(2)}` : ""}`,
    ),
  );
}

const isTable = (value) => Array.isArray(value) && typeof value[0] === "object";
const cell = (value) => (typeof value === "number" ? short(value) : (value ?? "–"));

/** What each step of the agent found, in its own words. */
function stepCard(steps) {
  const said = (value) =>
    typeof value === "number"
      ? short(value)
      : typeof value === "object"
        ? Object.entries(value)
            .map(([name, each]) => (Array.isArray(value) ? each : `${name} ${cell(each)}`))
            .join(", ")
        : String(value);
  byId("steps").replaceChildren(
    el("figcaption", {}, "What the agent did"),
    ...steps.map(({ step, found }, index) =>
      el(
        "details",
        { open: index > 0 },
        el("summary", {}, `${index + 1}. ${step}`),
        table(
          [],
          Object.entries(found)
            .filter(([, value]) => !isTable(value))
            .map(([name, value]) => [spoken(name), el("span", { class: "told" }, said(value))]),
        ),
        ...Object.values(found)
          .filter(isTable)
          .map((rows) => table(Object.keys(rows[0]), rows.map((row) => Object.values(row).map(cell)))),
      ),
    ),
  );
}

function populationCards({ measures, reference }, cuts) {
  const added = measures
    .filter((each) => each.beyond > 0)
    .sort((a, b) => b.beyond - a.beyond)
    .slice(0, 8)
    .map((each) => [each.measure, each.value, each.z, each.beyond]);
  byId("adds").replaceChildren(el("figcaption", {}, "What speaks against it"), contributions(added));
  const place = el("div");
  const placed = measures.filter((each) => each.z !== null);
  byId("population").replaceChildren(
    el("figcaption", {}, `Its measures among good films (${reference})`),
    el(
      "p",
      { class: "note" },
      "Robust z: 0 is the median of good films of the same kind. Dark band: half of them; light band: 19 of 20. Coloured ticks: where mild, moderate and severe begin.",
    ),
    place,
  );
  drawn(place, (width) => place.replaceChildren(populationChart(placed, cuts, width)));
  byId("values").replaceChildren(
    el("figcaption", {}, "All measures"),
    table(
      ["measure", "value", "usual", "unit", "robust z", "adds"],
      measures.map((each) => [
        each.measure,
        short(each.value),
        short(each.usual),
        each.unit,
        short(each.z),
        each.adds === null ? "–" : each.adds.toFixed(2),
      ]),
    ),
  );
}

/** Severity a measure alone gives. */
function severityOf({ measure, value, z }, cuts) {
  const row = cuts[measure];
  if (!row) return 0;
  const own = row.on === "z" ? z : value;
  return row.cuts.filter((cut) => row.direction * own >= row.direction * cut).length;
}

function populationChart(measures, cuts, width) {
  const far = (each) =>
    Math.max(Math.abs(each.z), ...(cuts[each.measure]?.on === "z" ? cuts[each.measure].cuts.map(Math.abs) : []));
  const reach = Math.min(REACH, 0.5 + Math.max(2.5, ...measures.map(far)));
  const inside = (z) => Math.max(-reach, Math.min(reach, z));
  const names = measures.map((each) => each.measure);
  const ticks = measures.flatMap(({ measure }) => {
    const row = cuts[measure];
    return row && row.on === "z"
      ? row.cuts.map((cut, index) => ({ measure, cut: inside(cut), class: `s${index + 1}` }))
      : [];
  });
  const band = (to, opacity) =>
    Plot.rectX([{ from: -to, to }], { x1: "from", x2: "to", fill: "var(--bar)", fillOpacity: opacity });
  return Plot.plot({
    width,
    height: 50 + 24 * measures.length,
    marginLeft: Math.min(170, width * 0.4),
    marginRight: 24,
    marginBottom: 34,
    ariaLabel: "Measures of this film among good films",
    x: { domain: [-reach, reach], label: "robust z", labelAnchor: "center", ticks: width < 500 ? 4 : 8 },
    y: { domain: names, label: null, tickSize: 0 },
    marks: [
      band(1.96, 0.18),
      band(0.674, 0.3),
      Plot.ruleX([0], { stroke: "var(--soft)" }),
      Plot.tickX(ticks, { x: "cut", y: "measure", stroke: (tick) => colour(tick.class), strokeWidth: 3 }),
      Plot.ruleY(measures, { y: "measure", x1: 0, x2: (each) => inside(each.z), stroke: "var(--soft)" }),
      Plot.dot(measures, {
        y: "measure",
        x: (each) => inside(each.z),
        r: 5.5,
        stroke: "var(--card)",
        fill: (each) => {
          const s = severityOf(each, cuts);
          return s ? colour(`s${s}`) : "var(--accent)";
        },
        symbol: (each) => (Math.abs(each.z) > reach ? "triangle" : "circle"),
        title: (each) =>
          `${each.measure}: ${short(each.value)} ${each.unit}, usual ${short(each.usual)}, robust z ${short(each.z)}`,
        tip: true,
      }),
    ],
  });
}

lrrg.start();
