"use strict";
/* Every film as small codes, and the policy's arithmetic on them: grading, rules, regimes. */
const ABSENT = 255;

lrrg.films = function () {
  const { facets, quality, measures } = lrrg.data;
  const films = { facet: {}, cuts: [], severity: {}, regime: null };
  for (const [name, facet] of Object.entries(facets))
    films.facet[name] = { names: facet.names, codes: bytes(facet.codes) };
  films.number = films.facet.regime.codes.length;
  films.quality = cutSet(quality);
  for (const measure of measures) {
    for (const distribution of Object.values(measure.by).flat()) {
      distribution.cuts = distribution.cuts.map((cut) => ({ ...cutSet(cut), aspect: cut.aspect }));
      films.cuts.push(...distribution.cuts);
    }
  }
  for (const aspect of lrrg.data.aspects) films.severity[aspect] = new Uint8Array(films.number);
  films.regime = new Uint8Array(films.number);
  films.judged = films.facet.route.names.indexOf("judge");
  return films;
};

const cutSet = ({ edges, direction, at, codes }) => ({
  edges,
  direction,
  at: [...at],
  policy: [...at],
  codes: bytes(codes),
});

/** Whether a code has reached the cut at an edge. */
const passed = (code, at, direction) => (direction > 0 ? code > at : code <= at);

/** Severity of one aspect on every film: the worst of its measures. */
lrrg.grade = function (films, aspect) {
  const severity = films.severity[aspect].fill(ABSENT);
  for (const { codes, at, direction } of films.cuts.filter((cut) => cut.aspect === aspect)) {
    const reached = Uint8Array.from(
      { length: ABSENT },
      (_, code) => at.filter((cut) => passed(code, cut, direction)).length,
    );
    for (let i = 0; i < severity.length; i++) {
      if (codes[i] === ABSENT) continue;
      const found = reached[codes[i]];
      if (severity[i] === ABSENT || found > severity[i]) severity[i] = found;
    }
  }
};

/** Regime of every film: by quality, then whatever a rule makes worse. A judge's regime stays. */
lrrg.decide = function (films) {
  const { regime, quality } = films;
  const [low, high] = quality.at;
  const stored = films.facet.regime.codes;
  for (let i = 0; i < regime.length; i++) {
    const code = quality.codes[i];
    regime[i] = code === ABSENT ? ABSENT : code > high ? 0 : code > low ? 1 : 2;
  }
  for (const rule of lrrg.data.rules) {
    const severity = films.severity[rule.aspect];
    const worst = REGIMES.indexOf(rule.regime);
    for (let i = 0; i < regime.length; i++) {
      if (severity[i] !== ABSENT && severity[i] >= rule.severity && regime[i] < worst) regime[i] = worst;
    }
  }
  const route = films.facet.route.codes;
  for (let i = 0; i < regime.length; i++) if (route[i] === films.judged) regime[i] = stored[i];
};

/** Count pairs of codes: `counts[a][b]`, with a last place for what is absent. */
function crossed(first, firstNames, second, secondNames) {
  const counts = Array.from({ length: firstNames + 1 }, () => new Array(secondNames + 1).fill(0));
  for (let i = 0; i < first.length; i++) counts[Math.min(first[i], firstNames)][Math.min(second[i], secondNames)]++;
  return counts;
}

/** Films whose regime is not the stored one. */
lrrg.changed = function (films) {
  const stored = films.facet.regime.codes;
  let changed = 0;
  for (let i = 0; i < stored.length; i++) if (stored[i] !== films.regime[i]) changed++;
  return changed;
};
