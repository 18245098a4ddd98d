"use strict";
/* The table of films: filtered, sorted, and only as many rows in the page as are seen. */
const ROW = 42;
const COLUMNS = [
  { name: "film", of: (row) => row.image_id, cell: (row) => el("code", {}, shortName(row.image_id)), class: "film" },
  { name: "regime", of: (row) => REGIMES.indexOf(row.regime), cell: (row) => regimeCell(row), class: "verdict" },
  {
    name: "quality",
    of: (row) => row.quality,
    cell: (row) => (row.quality === null ? "–" : row.quality.toFixed(3)),
    class: "number verdict",
  },
  {
    name: "defects",
    of: (row) => -d3.max(row.severities, (each) => each ?? 0),
    cell: (row) => row.error_code ?? marks(lrrg.data.aspects, row.severities),
    class: "defects verdict",
  },
  { name: "view", of: (row) => row.view_position, cell: (row) => row.view_position ?? "–", class: "less" },
  { name: "split", of: (row) => row.official_split, cell: (row) => row.official_split ?? "–", class: "less" },
  { name: "status", of: (row) => row.status, cell: (row) => spoken(row.status), class: "less verdict" },
  { name: "why listed", of: (row) => row.why, cell: (row) => row.why, class: "less why verdict" },
  {
    name: "read",
    of: (row) => (lrrg.reads.get(row.image_id) ?? {}).regime,
    cell: (row) => readCell(row),
    class: "read",
  },
];
const shortName = (id) => (id.length > 20 ? `${id.slice(0, 17)}…` : id);

const browser = {
  rows: [],
  by: null,
  down: false,
  wanted: { text: "", regime: "", defect: "", view: "", split: "", why: "" },
};

/** Whether the verdicts are hidden. */
const blind = () => document.body.classList.contains("blind");
/** Filters that ask for what the verdicts say. */
const TELLING = ["regime", "defect", "why"];

/** Where a film stands while verdicts are hidden: the order from the worst to the best would give them away. */
const lot = (id) => [...id].reduce((sum, letter) => Math.imul(sum ^ letter.codePointAt(0), 16777619) >>> 0, 2166136261);

/** Hide or show the verdicts, and whatever tells them: order, filters, reasons. */
lrrg.readBlind = function (hidden) {
  document.body.classList.toggle("blind", hidden);
  TELLING.map((name) => byId(`filter-${name}`)).forEach((filter) => filter && (filter.disabled = hidden));
  filterRows();
};

/** Set up filters and table; returns what draws the rows again when regimes change. */
lrrg.browse = function (films) {
  const { rows, complete } = lrrg.data;
  rows.forEach((row) => {
    row.now = () => REGIMES[films.regime[row.place]] ?? null;
  });
  byId("listed").textContent = complete
    ? `All ${whole(rows.length)} films; press one to see why, and to say what you think of it.`
    : `The ${whole(rows.length)} most telling of ${whole(films.number)} films: those without a verdict, judged or to be reviewed, the worst of each defect, those next to a cut, the best, and a random draw. Counts above are over all films.`;
  filterTools(rows);
  lrrg.reviewTools();
  const columns = COLUMNS.filter((column) => column.name !== "why listed" || !complete);
  const head = el(
    "tr",
    {},
    ...columns.map((column) =>
      el("th", { scope: "col", class: column.class }, el("button", { onclick: () => sortBy(column) }, column.name)),
    ),
  );
  const body = el("tbody");
  byId("table").replaceChildren(el("thead", {}, head), body);
  const show = () => showRows(body, columns);
  browser.show = show;
  browser.head = head;
  byId("scroll").addEventListener("scroll", show, { passive: true });
  new ResizeObserver(show).observe(byId("scroll"));
  filterRows();
  return () => (browser.wanted.regime ? filterRows() : show());
};

function regimeCell(row) {
  const now = row.now();
  return now === row.regime ? badge(row.regime) : el("span", { class: "moved" }, badge(row.regime), "→", badge(now));
}

function readCell(row) {
  const read = lrrg.reads.get(row.image_id);
  return read ? el("span", { class: "done", title: "read" }, read.regime ? `✓ ${read.regime}` : "✓") : "";
}

function filterTools(rows) {
  const values = (of) => [...new Set(rows.map(of).filter(Boolean))].sort();
  const choose = (name, label, options) =>
    el(
      "label",
      {},
      `${label} `,
      el(
        "select",
        {
          "aria-label": label,
          id: `filter-${name}`,
          onchange: (event) => {
            browser.wanted[name] = event.target.value;
            filterRows();
          },
        },
        el("option", { value: "" }, "any"),
        ...options.map((each) => el("option", { value: each }, spoken(each))),
      ),
    );
  const whys = values((row) => row.why);
  byId("filters").replaceChildren(
    el("input", {
      type: "search",
      id: "filter-text",
      placeholder: "id, path, patient, code …",
      "aria-label": "Search films",
      oninput: (event) => {
        browser.wanted.text = event.target.value.trim().toLowerCase();
        filterRows();
      },
    }),
    choose("regime", "regime", REGIMES),
    choose("defect", "defect", lrrg.data.aspects),
    choose(
      "view",
      "view",
      values((row) => row.view_position),
    ),
    choose(
      "split",
      "split",
      values((row) => row.official_split),
    ),
    ...(whys.length ? [choose("why", "why listed", whys)] : []),
  );
}

function filterRows() {
  const { text, view, split } = browser.wanted;
  const { regime, defect, why } = blind() ? {} : browser.wanted;
  const place = lrrg.data.aspects.indexOf(defect);
  const said = (row) =>
    `${row.image_id} ${row.path} ${row.subject_id} ${blind() ? "" : `${row.error_code ?? ""} ${row.rationale ?? ""}`}`.toLowerCase();
  browser.rows = lrrg.data.rows.filter(
    (row) =>
      (!text || said(row).includes(text)) &&
      (!regime || row.now() === regime) &&
      (!defect || row.severities[place] >= 1) &&
      (!view || row.view_position === view) &&
      (!split || row.official_split === split) &&
      (!why || row.why === why),
  );
  sortRows();
  byId("found").textContent = `${whole(browser.rows.length)} of ${whole(lrrg.data.rows.length)} listed films`;
  byId("scroll").scrollTop = 0;
  browser.show();
}

function sortBy(column) {
  if (blind()) return;
  browser.down = browser.by === column ? !browser.down : false;
  browser.by = column;
  [...browser.head.children].forEach((cell) => {
    const own = cell.textContent === column.name;
    cell.setAttribute("aria-sort", own ? (browser.down ? "descending" : "ascending") : "none");
  });
  sortRows();
  browser.show();
}

function sortRows() {
  if (blind()) browser.rows = d3.sort(browser.rows, (row) => lot(row.image_id));
  if (blind() || !browser.by) return;
  const order = browser.down ? d3.descending : d3.ascending;
  browser.rows = d3.sort(browser.rows, (a, b) => order(browser.by.of(a), browser.by.of(b)));
}

/** Put the rows in view into the page, between two spacers. */
function showRows(body, columns) {
  const { scrollTop, clientHeight } = byId("scroll");
  const first = Math.max(0, Math.floor(scrollTop / ROW) - 8);
  const last = Math.min(browser.rows.length, first + Math.ceil(clientHeight / ROW) + 16);
  const spacer = (height) => el("tr", { class: "spacer", style: `height:${height}px`, "aria-hidden": "true" });
  body.replaceChildren(
    spacer(first * ROW),
    ...browser.rows.slice(first, last).map((row, offset) => rowLine(row, first + offset, columns)),
    spacer((browser.rows.length - last) * ROW),
  );
}

function rowLine(row, index, columns) {
  const open = () => lrrg.openFilm(index);
  const thumb = row.picture ? el("img", { src: row.picture.film, class: "thumb", alt: "", loading: "lazy" }) : null;
  return el(
    "tr",
    {
      class: "row",
      tabIndex: 0,
      onclick: open,
      onkeydown: (event) => {
        if (event.key === "Enter") open();
      },
    },
    ...columns.map((column, place) => el("td", { class: column.class }, place ? null : thumb, column.cell(row))),
  );
}
