"use strict";
/* A reader's own opinion on a film, kept until it is saved as CSV. */
lrrg.reads = new Map();
/** Films that were opened while their verdicts were to be seen: no read of them is blind any more. */
lrrg.seen = new Set();
const FIELDS = () => ["image_id", "reader", "regime", ...lrrg.data.aspects, "blind", "read_at"];

/** Name, blind reading, saving. */
lrrg.reviewTools = function () {
  const box = el("input", {
    type: "checkbox",
    id: "blind",
    onchange: (event) => lrrg.readBlind(event.target.checked),
  });
  byId("reading").replaceChildren(
    el(
      "label",
      {},
      "reader ",
      el("input", { id: "reader", type: "text", placeholder: "your name or initials", autocomplete: "off" }),
    ),
    el("label", { title: "Hides the agent's verdicts, and mixes the films, so that they cannot lead you" }, box, " read blind"),
    el("button", { id: "save", class: "main", disabled: true, onclick: save }, "Save reads"),
  );
  window.addEventListener("beforeunload", (event) => {
    if (lrrg.unsaved) event.preventDefault();
  });
};

function save() {
  const reader = byId("reader").value.trim();
  if (!reader) {
    byId("reader").focus();
    byId("reader").placeholder = "a name is needed to save";
    return;
  }
  const link = el("a", {
    href: URL.createObjectURL(new Blob([readsAsCsv(reader)], { type: "text/csv" })),
    download: "reads.csv",
  });
  link.click();
  URL.revokeObjectURL(link.href);
  lrrg.unsaved = false;
}

function readsAsCsv(reader) {
  const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const lines = [...lrrg.reads.values()].map((read) =>
    FIELDS()
      .map((field) => quoted(field === "reader" ? reader : (read[field] ?? "")))
      .join(","),
  );
  return `${[FIELDS().join(","), ...lines].join("\n")}\n`;
}

/** Open one film of the table as it is filtered and sorted now. */
lrrg.openFilm = function (index) {
  const row = browser.rows[index];
  if (!row) return;
  if (!blind()) lrrg.seen.add(row.image_id);
  const dialog = byId("film");
  const go = (by) => lrrg.openFilm(index + by);
  dialog.replaceChildren(
    el(
      "div",
      { class: "dialog-top" },
      el("button", { onclick: () => go(-1), disabled: index === 0, "aria-label": "Previous film" }, "‹"),
      el("span", {}, `${whole(index + 1)} of ${whole(browser.rows.length)}`),
      el(
        "button",
        { onclick: () => go(1), disabled: index + 1 === browser.rows.length, "aria-label": "Next film" },
        "›",
      ),
      el("button", { class: "close", onclick: () => dialog.close(), "aria-label": "Close" }, "×"),
    ),
    el("h3", { class: "id" }, row.image_id),
    row.picture ? filmFigure(row.picture, `Film ${row.image_id}`) : el("p", { class: "note" }, `File: ${row.path}`),
    verdictPart(row),
    readPart(row, index),
  );
  dialog.onkeydown = (event) => {
    if (event.target.matches("input, select")) return;
    if (event.key === "ArrowRight") go(1);
    if (event.key === "ArrowLeft") go(-1);
  };
  if (!dialog.open) dialog.showModal();
};

function verdictPart(row) {
  const quality = row.quality === null ? "" : ` quality ${row.quality.toFixed(3)}`;
  return el(
    "div",
    { class: "verdict" },
    el("p", {}, badge(row.regime), quality, " ", marks(lrrg.data.aspects, row.severities)),
    el(
      "p",
      { class: "note" },
      row.error_code
        ? [row.error_code, row.error_detail].filter(Boolean).join(": ")
        : `${row.rationale} (${row.route})`,
    ),
    row.error_code ? null : contributions(row.top),
    row.steps.length ? looks(row.steps) : null,
  );
}

/** What the judge asked to see before it graded, and what it was told. */
function looks(steps) {
  return el(
    "div",
    { class: "looks" },
    el("p", { class: "note" }, "The judge looked closer before it graded:"),
    el(
      "ol",
      {},
      ...steps.map(({ asked, told }) => el("li", {}, el("b", {}, [asked.look, asked.region].filter(Boolean).join(", ")), `: ${told}`)),
    ),
  );
}

/** What the reader thinks: a regime, and each defect present or not. */
function readPart(row, index) {
  const read = lrrg.reads.get(row.image_id) ?? {};
  const set = (changes) => {
    const made = {
      ...read,
      ...changes,
      image_id: row.image_id,
      blind: lrrg.seen.has(row.image_id) ? "no" : "yes",
      read_at: new Date().toISOString().slice(0, 19),
    };
    lrrg.reads.set(row.image_id, made);
    lrrg.unsaved = true;
    byId("save").disabled = false;
    byId("save").textContent = `Save ${whole(lrrg.reads.size)} read${lrrg.reads.size > 1 ? "s" : ""}`;
    browser.show();
    lrrg.openFilm(index);
  };
  const choice = (field, values) =>
    el(
      "span",
      { class: "choice", role: "group", "aria-label": field },
      ...values.map(([value, word]) =>
        el(
          "button",
          {
            "aria-pressed": read[field] === value,
            onclick: () => set({ [field]: read[field] === value ? "" : value }),
          },
          word,
        ),
      ),
    );
  const found = Object.fromEntries(
    lrrg.data.aspects.map((aspect, place) => [
      aspect,
      row.severities[place] === null ? "" : row.severities[place] >= 1 ? "yes" : "no",
    ]),
  );
  const agrees = (aspect) =>
    !blind() && read[aspect] && found[aspect]
      ? el(
          "small",
          { class: read[aspect] === found[aspect] ? "agree" : "disagree" },
          read[aspect] === found[aspect] ? "agrees" : "disagrees",
        )
      : "";
  return el(
    "div",
    { class: "my-read" },
    el(
      "h4",
      {},
      "Your read ",
      el(
        "button",
        {
          class: "verdict main",
          id: "agree",
          disabled: !row.regime,
          onclick: () => set({ regime: row.regime, ...found }),
        },
        "Agree with all",
      ),
    ),
    el(
      "div",
      { class: "line" },
      el("span", {}, "regime"),
      choice(
        "regime",
        REGIMES.map((name) => [name, name]),
      ),
    ),
    ...lrrg.data.aspects.map((aspect) =>
      el(
        "div",
        { class: "line" },
        el("span", {}, aspect),
        choice(aspect, [
          ["no", "absent"],
          ["yes", "present"],
        ]),
        agrees(aspect),
      ),
    ),
  );
}
