"use strict";
/* What does not follow the cuts: spread of quality, failures, judge, agreement, provenance. */

lrrg.spreadCard = function (films) {
  const { spread } = lrrg.data;
  const place = el("div");
  const names = Object.keys(spread);
  const tabs = names.map((name) => el("button", { onclick: () => pick(name) }, SHOWN_FACETS[name].toLowerCase()));
  let chosen = names[0];
  const draw = (_, width) =>
    spreadChart(spread[chosen], {
      width,
      cuts: films.quality.at.map((edge) => films.quality.edges[edge]),
      label: `Quality by ${chosen}`,
    });
  const again = live([{ place }], draw);
  function pick(name) {
    chosen = name;
    tabs.forEach((tab, index) => tab.setAttribute("aria-pressed", names[index] === name));
    again();
  }
  byId("spread").replaceChildren(
    el("figcaption", {}, "Quality by"),
    el("div", { class: "tabs" }, ...tabs),
    place,
    el("p", { class: "note" }, "Line: 5 % to 95 % of the films; bar: the middle half; dot: the median."),
  );
  pick(chosen);
  return again;
};

lrrg.failureCards = function () {
  const { failures, counts } = lrrg.data;
  const pending = counts.images - counts.verdicts;
  const cards = [];
  if (failures.length)
    cards.push(
      card(
        "Films without a verdict on quality",
        table(
          ["status", "code", "films", "for example"],
          failures.map((each) => [each.status, each.code, each.films, each.example]),
        ),
      ),
    );
  if (pending)
    cards.push(
      card("Not looked at yet", el("p", {}, `${whole(pending)} of ${whole(counts.images)} images are pending.`)),
    );
  if (!cards.length)
    cards.push(
      card(
        "Films without a verdict on quality",
        el("p", {}, "None: every image of the catalog could be read and measured."),
      ),
    );
  byId("failures").replaceChildren(...cards);
};

lrrg.judgedCard = function () {
  const { judged, rulings } = lrrg.data;
  if (!judged.length) {
    byId("judged").replaceChildren(
      card("Judge against tools", el("p", {}, "No judge was asked: under this recipe the tools decided alone.")),
    );
    return;
  }
  const rows = REGIMES.map((tools) => [
    tools,
    ...REGIMES.map((judge) =>
      d3.sum(
        judged.filter((each) => each.tools === tools && each.judge === judge),
        (each) => each.films,
      ),
    ),
  ]);
  const agreed = d3.sum(REGIMES, (_, index) => rows[index][index + 1]);
  const all = d3.sum(judged, (each) => each.films);
  byId("judged").replaceChildren(
    card(
      "Judge against tools",
      el("p", {}, `The judge kept the tools' regime on ${percent(agreed, all)} of ${whole(all)} films.`),
      table(["tools say", ...REGIMES.map((name) => `judge: ${name}`)], rows),
    ),
    card(
      "Aspect by aspect",
      el(
        "p",
        {},
        "How far the judge sees each defect on average (0 none to 3 severe), and on how many films which of them stands.",
      ),
      table(
        ["aspect", "films", "judge expects", "tools", "judge", "tools measured again", "tools, the judge is sure otherwise"],
        rulings.map((each) => [
          each.aspect,
          each.films,
          each.expected.toFixed(2),
          each.tools,
          each.judge,
          each.again,
          each.open,
        ]),
      ),
    ),
  );
};

/** A value with its interval. */
const within = ({ value, low, high }) =>
  value === null ? "–" : `${value.toFixed(2)} ${low === null ? "(no interval)" : `(${low.toFixed(2)} to ${high.toFixed(2)})`}`;

lrrg.agreementCards = function () {
  const { agreement } = lrrg.data;
  if (!agreement) {
    byId("agreement").replaceChildren(
      card(
        "Agreement with readers",
        el("p", {}, "No reads are stored. Mark films above, save them, then:"),
        el("pre", {}, "lrrg review import reads.csv --db DB\nlrrg review agreement --db DB"),
      ),
    );
    return;
  }
  const place = el("div");
  byId("agreement").replaceChildren(
    card(
      `Agreement with ${agreement.readers} reader${agreement.readers > 1 ? "s" : ""} on ${whole(agreement.films)} films of ${whole(agreement.patients)} patients`,
      table(
        ["statistic", "value (95 % interval)"],
        agreement.overall.map((row) => [row.statistic, within(row)]),
      ),
      table(
        ["defect", "reads", "present", "precision", "recall"],
        agreement.defects.map((row) => [row.aspect, row.films, row.present, within(row.precision), within(row.recall)]),
      ),
    ),
    card(
      "Calibration: what the quality says and what readers say",
      place,
      el(
        "p",
        { class: "note" },
        "Each point is a share of the films read, by rising quality; on the line, quality is the probability it claims to be.",
      ),
    ),
    cutsCard(agreement.cuts),
  );
  drawn(place, (width) => place.replaceChildren(calibrationChart(agreement.calibration, width)));
};

function cutsCard(cuts) {
  const made = card(
    "Cuts that readers suggest",
    el(
      "p",
      { class: "note" },
      "J is sensitivity + specificity − 1, of the fitted cut on patients it was not fitted on. Better: the gain is beyond chance.",
    ),
    cuts.length
      ? table(
          ["decides", "measure", "domain", "now", "fitted", "J now", "J fitted", ""],
          cuts.map((row) => [
            row.decides,
            row.measure,
            row.domain,
            short(row.now),
            short(row.fitted),
            within(row.in_force),
            within(row.unseen),
            row.better ? "better" : "",
          ]),
        )
      : el("p", {}, "Too few reads with and without a finding to fit any cut."),
  );
  made.classList.add("full");
  return made;
}

function calibrationChart(points, width) {
  return Plot.plot({
    width,
    height: 260,
    marginLeft: 44,
    marginBottom: 36,
    ariaLabel: "Calibration",
    x: { domain: [0, 1], label: "mean quality", labelAnchor: "center", ticks: 5 },
    y: { domain: [0, 1], label: "share readers do not call low", ticks: 5 },
    marks: [
      Plot.line(
        [
          [0, 0],
          [1, 1],
        ],
        { stroke: "var(--soft)", strokeDasharray: "4 4" },
      ),
      Plot.ruleX(points, { x: "quality", y1: "low", y2: "high", stroke: "var(--accent)", strokeWidth: 1.5 }),
      Plot.dot(points, {
        x: "quality",
        y: "share",
        r: 4,
        fill: "var(--accent)",
        title: (point) => `${whole(point.reads)} reads`,
        tip: true,
      }),
    ],
  });
}

lrrg.provenanceCards = function () {
  const { recipe, runs, tools, versions } = lrrg.data.provenance;
  const { counts } = lrrg.data;
  const facts = [
    ["Policy", `${recipe.policy}, version ${recipe.policy_version}`],
    ["Judge", recipe.judge ?? "none"],
    ["Recipe", el("code", {}, recipe.recipe_id.slice(0, 16))],
    ["Measures", el("code", {}, recipe.measure_id.slice(0, 16))],
    ["Images", whole(counts.images)],
    ["Verdicts", whole(counts.verdicts)],
    ["Studies", whole(counts.studies)],
    ["Patients", whole(counts.patients)],
    ...Object.entries(versions),
  ];
  byId("provenance").replaceChildren(
    card("Recipe and versions", table([], facts)),
    card(
      "Runs",
      table(
        ["started (UTC)", "verdicts", "seconds", "films/s", "exit"],
        runs.map((run) => [
          run.started,
          run.verdicts,
          run.seconds === null ? "–" : Math.round(run.seconds),
          run.rate === null ? "–" : short(run.rate),
          run.exit_code ?? "–",
        ]),
      ),
    ),
    card(
      "Measures and their versions",
      el(
        "details",
        {},
        el("summary", {}, `${tools.length} measures`),
        table(
          ["measure", "version", "unit"],
          tools.map((tool) => [tool.measure, tool.version, tool.unit]),
        ),
      ),
    ),
  );
};
