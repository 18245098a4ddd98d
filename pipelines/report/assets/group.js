"use strict";
/* The group page: put everything in its place, and count again when a cut moves. */

lrrg.start = async function () {
  await lrrg.unpack();
  const { data } = lrrg;
  const films = (lrrg.now = lrrg.films());
  data.aspects.forEach((aspect) => lrrg.grade(films, aspect));
  lrrg.decide(films);
  lrrg.mismatch = lrrg.changed(films);
  byId("title").textContent = `${data.title}: image quality`;
  byId("lead").textContent =
    `${whole(data.counts.verdicts)} films of ${whole(data.counts.patients)} patients · policy ${data.provenance.recipe.policy} ${data.provenance.recipe.policy_version} · ${data.made}`;
  byId("footer").textContent =
    `Written by lrrg ${data.version}. This file names images of the archive${data.pictures ? " and holds pictures of them: it must not leave this machine" : ""}; it holds no report text and asks no network for anything.`;
  draw(films);
  document.documentElement.dataset.ready = "yes";
};

function draw(films) {
  let cards = () => {};
  let waiting = false;
  const dirty = new Set();
  const recount = (aspect) => {
    if (aspect) dirty.add(aspect);
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      dirty.forEach((each) => lrrg.grade(films, each));
      dirty.clear();
      lrrg.decide(films);
      follow.forEach((again) => again());
    });
  };
  const quality = lrrg.qualityCard(films, recount);
  const follow = [
    () => lrrg.drawBar(films),
    lrrg.facetCards(films),
    lrrg.severityCard(films),
    lrrg.togetherCard(films),
    lrrg.spreadCard(films),
    lrrg.browse(films),
  ];
  let domain = null;
  const measures = () => {
    cards = lrrg.measureCards(domain, byId("only-cut").checked, recount);
  };
  lrrg.domainTabs(films, (chosen) => {
    domain = chosen;
    measures();
  });
  byId("only-cut").addEventListener("change", measures);
  byId("reset").addEventListener("click", () => {
    [films.quality, ...films.cuts].forEach((set) => {
      set.at = [...set.policy];
    });
    lrrg.data.aspects.forEach((aspect) => dirty.add(aspect));
    quality();
    cards();
    recount(null);
  });
  lrrg.failureCards();
  lrrg.judgedCard();
  lrrg.agreementCards();
  lrrg.provenanceCards();
  lrrg.drawBar(films);
}

lrrg.start();
