// The page of messages: whose answers, what they are, what was taught, and how often it was right.
import { $, api, attempt, bytes, fingerprint, h, listen, path, percent, plural, say, svg } from "./common.js";
import { curve } from "./curve.js";

const MOST = 8; // messages on the page
const UNSURE = 0.15; // a margin below it is said to be unsure

const page = {
  about: { labels: [], samples: {}, every: 8 },
  people: new Map(), // id → ProfileInfo
  codes: new Map(), // id → its rows
  data: new Map(), // id → PersonData; of those on the page
  texts: JSON.parse(sessionStorage.getItem("texts") ?? "[]"),
  cards: new Map(), // text → card
  who: null,
  with: null,
};

const shown = () => [page.who, page.with].filter((id) => id != null);

// Who answers, in a word and in a sentence.
const sources = {
  taught: ["Taught", (id) => `${id} gave this very text its label.`, "M3 14l1-4 8-8 3 3-8 8z"],
  profile: ["Profile", (id) => `Learned from what ${id} taught.`, "M2 2h5v5H2zM9 2h5v5H9zM2 9h5v5H2zM9 9h5v5H9z"],
  prior: ["Prior", (id) => `Only how often ${id} takes each label; nothing more is learned yet.`, "M2 14V8h3v6zM7 14V3h3v11zM12 14v-4h3v4z"],
  population: ["Population", (id) => `${id} has taught nothing; other people's labels answer.`, "M5 4a2 2 0 1 1 0 4 2 2 0 0 1 0-4zM11 4a2 2 0 1 1 0 4 2 2 0 0 1 0-4zM1 14c0-6 8-6 8 0zM8 10c3-3 7 0 7 4h-5z"],
  base: ["Base", (id) => `${id} has taught nothing; the names of the labels answer.`, "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2z"],
};

function sourceOf(prediction) {
  const info = page.people.get(prediction.profile);
  if (prediction.source === "profile" && info && !info.bank && info.head === "shared") return "prior";
  if (prediction.source === "base" && page.about.population) return "population";
  return prediction.source;
}

// ---- People

async function loadPeople() {
  const [list, codes] = await Promise.all([api("GET", "/v1/profiles?limit=200"), api("GET", "/page/codes")]);
  page.people = new Map(list.profiles.map((info) => [info.profile, info]));
  page.codes = new Map(codes.people.map((code) => [code.profile, code]));
  showPeople();
}

function showPeople() {
  const ids = [...new Set([...page.people.keys(), ...shown()])];
  const focused = document.activeElement?.closest(".roster button")?.dataset.id;
  $("#people").replaceChildren(...ids.map((id) => h("li", null, person(id))));
  if (focused) $(`.roster button[data-id="${CSS.escape(focused)}"]`)?.focus();
  const other = $("#with");
  other.replaceChildren(h("option", { value: "" }, "nobody"),
    ...ids.filter((id) => id !== page.who).map((id) => h("option", { value: id }, id)));
  other.value = page.with ?? "";
}

function person(id) {
  const info = page.people.get(id), q = info?.prequential;
  let about = "new";
  if (info) about = info.revision && q?.n ? `${percent(q.profile)} right` : plural(info.examples + info.waiting, "text");
  return h("button", { type: "button", "data-id": id, "aria-pressed": String(id === page.who),
    onclick: () => choose(id) },
    fingerprint(id, page.codes.get(id)), h("span", { class: "name" }, id), h("small", null, about));
}

async function choose(id, other = page.with) {
  page.who = id;
  page.with = other === id ? null : other;
  const query = new URLSearchParams({ p: id, ...(page.with && { with: page.with }) });
  history.replaceState(null, "", `?${query}`);
  $("#who").textContent = id;
  showPeople();
  showSamples();
  await attempt(() => show(page.texts));
}

function showSamples() {
  const samples = (page.about.samples[page.who] ?? page.about.samples[""] ?? [])
    .filter((text) => !page.texts.includes(text)).slice(0, 3);
  $("#samples").replaceChildren(...samples.map((text) =>
    h("button", { type: "button", onclick: () => ask(text) }, text)));
}

// ---- Messages and answers

async function ask(text) {
  page.texts = [text, ...page.texts.filter((t) => t !== text)].slice(0, MOST);
  sessionStorage.setItem("texts", JSON.stringify(page.texts));
  showSamples();
  return attempt(() => answer([text]));
}

// keep makes these the children of an element, and moves none that is where it should be: one that
// moves loses the focus.
function keep(parent, children) {
  for (const old of [...parent.children]) if (!children.includes(old)) old.remove();
  children.forEach((child, i) => { if (parent.children[i] !== child) parent.insertBefore(child, parent.children[i] ?? null); });
}

// answer asks for all who are shown, in one request, and brings the cards up to date.
async function answer(texts) {
  const people = shown();
  const fresh = texts.filter((text) => page.texts.includes(text));
  let predictions = [];
  if (fresh.length && people.length) {
    const requests = fresh.flatMap((text) => people.map((profile) => ({ profile, text })));
    ({ predictions } = await api("POST", "/v1/predict", { requests, fallback: "base" }));
  }
  fresh.forEach((text, i) => {
    const card = page.cards.get(text) ?? newCard(text);
    page.cards.set(text, card);
    card.show(predictions.slice(i * people.length, (i + 1) * people.length));
  });
  const cards = page.texts.map((text) => page.cards.get(text)?.element).filter(Boolean);
  keep($("#feed"), cards.length ? cards : [emptyFeed()]);
}

const emptyFeed = () => h("div", { class: "empty" },
  h("p", { class: "big" }, "The same message, another answer for everybody."),
  h("p", null, "Ask about a message, or press one of those above. If an answer is wrong, press the right label: ",
    "it is answered so from then on, and learned with the next few."));

function newCard(text) {
  const panels = h("div", { class: "panels" });
  const element = h("article", { class: "message" }, h("p", { class: "text" }, text), panels);
  const known = new Map();
  return { element, show(predictions) {
    const now = predictions.map((p) => {
      if (!known.has(p.profile)) known.set(p.profile, newPanel(p.profile, text));
      known.get(p.profile).show(p);
      return known.get(p.profile).element;
    });
    keep(panels, now);
  } };
}

// newPanel is one person's answer to one message. Its elements stay, so that bars move and focus is
// kept when the answer changes.
function newPanel(id, text) {
  const label = h("p", { class: "label" }), why = h("p", { class: "why" }), source = h("span", { class: "source" });
  const face = h("span"), list = h("ul", { class: "bars" }), row = h("div", { class: "row verdict" });
  const element = h("div", { class: "answer", role: "group", "aria-label": `Answer for ${id}`, onkeydown: keys },
    h("header", null, face, h("b", null, id), source), h("div", { class: "says" }, label, why), list, row);
  const bars = new Map();

  function keys(event) {
    const bar = [...bars.values()][Number(event.key) - 1];
    if (bar && !event.ctrlKey && !event.metaKey && !event.altKey) bar.button.click();
  }

  return { element, show(p) {
    if (p.error) {
      label.textContent = "No answer";
      why.textContent = p.error.detail ?? p.error.title;
      return;
    }
    const kind = sourceOf(p), [word, sentence, icon] = sources[kind];
    const unsure = kind !== "taught" && p.margin < UNSURE;
    const second = [...p.probabilities].sort((a, b) => b.p - a.p)[1]?.label;
    element.dataset.source = kind;
    element.toggleAttribute("data-unsure", unsure);
    face.replaceChildren(fingerprint(id, page.codes.get(id), "small"));
    source.replaceChildren(svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: icon })), word);
    label.textContent = p.label || p.model;
    why.textContent = sentence(id);
    if (kind === "taught" && p.model !== p.label) why.textContent += ` The model would say ${p.model}.`;
    if (unsure) why.prepend(h("b", null, `Unsure: perhaps ${second}. `));
    p.probabilities.forEach((x, i) => {
      if (!bars.has(x.label)) bars.set(x.label, newBar(id, text, x.label, i));
      bars.get(x.label).show(x.p, x.label === (p.label || p.model), page.data.get(id));
    });
    keep(list, p.probabilities.map((x) => bars.get(x.label).element));
    const focused = row.contains(document.activeElement);
    row.replaceChildren(...verdicts(id, text, p, kind));
    if (focused) row.querySelector("button")?.focus();
  } };
}

function newBar(id, text, label, i) {
  const fill = h("i"), number = h("span", { class: "p" }), mark = h("span", { class: "mark" });
  const button = h("button", { type: "button", class: "bar", onclick: () => teach(id, text, label) },
    h("kbd", { "aria-hidden": "true" }, String(i + 1)), h("span", { class: "name" }, label, mark),
    h("span", { class: "track" }, fill), number);
  return { element: h("li", null, button), button, show(p, best, data) {
    fill.style.width = `${100 * p}%`;
    number.textContent = percent(p);
    const not = data?.examples?.some((e) => e.rejected && e.text === text && e.label === label);
    mark.textContent = not ? "not this" : "";
    button.dataset.best = best;
    button.setAttribute("aria-label", `${label}, ${percent(p)}${best ? ", the answer" : ""}${not ? ", said to be wrong" : ""}. `
      + `Teach ${id}: this is ${label}`);
    button.title = `This is ${label} for ${id}`;
  } };
}

function verdicts(id, text, p, kind) {
  const act = (words, cls, work) => h("button", { type: "button", class: cls, onclick: work }, words);
  if (kind === "taught") {
    return [act("Forget this one", "quiet", () => forgetOne(id, text))];
  }
  return [act("Right", "quiet", () => judge(id, text, p.model, "confirm")),
    act("Wrong", "quiet", () => judge(id, text, p.model, "reject")),
    h("span", { class: "hint" }, "or press the right label")];
}

// ---- Teaching

// show brings the profile up to date, and then answers, which say what of them was rejected.
async function show(texts) {
  await loadData();
  await answer(texts);
}

async function changed(id, text, words) {
  say(words);
  await loadPeople();
  await show(page.texts.filter((t) => t === text));
}

const teach = (id, text, label) => attempt(async () => {
  await api("POST", path(id, "observe"), { examples: [{ text, label }] });
  await changed(id, text, `Taught: to ${id} this is ${label}.`);
});

const judge = (id, text, label, verdict) => attempt(async () => {
  await api("POST", path(id, verdict), { text, label });
  await changed(id, text, verdict === "confirm" ? `Noted: ${label} was right for ${id}.` : `Noted: this is not ${label} to ${id}.`);
});

const forgetOne = (id, text, { pair, choice } = {}) => attempt(async () => {
  await api("POST", path(id, "examples", "forget"),
    { text, ...(pair && { pair }), ...(choice && { candidates: choice.candidates }) });
  await changed(id, text, `Forgotten. ${id} has not taught this text.`);
});

// inTurn keeps a refresh from asking for somebody who is being forgotten.
let turn = Promise.resolve();
const inTurn = (work) => (turn = turn.catch(() => {}).then(work));

function forgetAll(id) {
  const dialog = $("#sure");
  $("#sure-title").textContent = `Forget ${id}?`;
  $("#sure-text").textContent = "The profile and every taught text are erased. This cannot be undone.";
  dialog.returnValue = "no";
  dialog.onclose = () => dialog.returnValue === "yes" && inTurn(() => attempt(async () => {
    await api("DELETE", path(id));
    say(`Forgot ${id}.`);
    await loadPeople();
    await choose(id);
  }));
  dialog.showModal();
}

// ---- The profile at the side

async function loadData() {
  await Promise.all(shown().map(async (id) => {
    if (!page.people.has(id)) return page.data.delete(id);
    const [data, learned] = await Promise.all([api("GET", path(id, "data")),
      api("GET", `/page/curve/${encodeURIComponent(id)}`)]);
    data.curve = learned.points;
    page.data.set(id, data);
  }));
  showProfile();
}

function showProfile() {
  const id = page.who, info = page.people.get(id), data = page.data.get(id);
  const box = $("#profile");
  if (!info || !data) {
    box.replaceChildren(heading(id, "nothing stored"),
      h("p", { class: "empty" }, `${id} is new. The first text that is taught makes a profile of some 250 bytes.`));
    return;
  }
  const size = `${bytes(info.bytes)}, revision ${info.revision}, ${plural(data.examples.length, "taught text")}`;
  box.replaceChildren(heading(id, size), right(id, data), next(id, info), taught(id, data),
    h("button", { type: "button", class: "quiet bad", onclick: () => forgetAll(id) }, `Forget ${id}`));
}

const heading = (id, words) => h("div", { class: "whose" }, fingerprint(id, page.codes.get(id), "large"),
  h("div", null, h("p", { class: "big" }, id), h("p", { class: "hint" }, words)));

function right(id, data) {
  const q = data.prequential;
  return h("section", { "aria-labelledby": "right-title" },
    h("h3", { id: "right-title" }, "How often it was right"),
    q.n ? h("p", { class: "hint" }, `About ${plural(Math.round(q.n), "text")}, each asked before it was learned.`) : null,
    curve(id, data.curve));
}

// next says how many taught texts are missing until the profile learns.
function next(id, info) {
  const due = Math.max(4, Math.min(page.about.every, info.examples || 4));
  const left = due - info.waiting;
  const dots = h("span", { class: "dots", "aria-hidden": "true" },
    Array.from({ length: due }, (_, i) => h("i", { "data-on": String(i < info.waiting) })));
  return h("p", { class: "next" }, dots, left > 0 ? `${plural(left, "more text")} until ${id} learns.` : `${id} is learning.`);
}

// said is what a person said of a text: its label, a number, or what was chosen for it.
const said = (e) => e.choice ? `chose ${e.choice.chosen}` : e.rejected ? `not ${e.label}` : e.label ?? String(e.value);

let all = false; // whether every taught text is shown
function taught(id, data) {
  const list = [...data.examples].sort((a, b) => b.time.localeCompare(a.time));
  const some = all ? list : list.slice(0, 6);
  return h("section", { "aria-labelledby": "taught-title" }, h("h3", { id: "taught-title" }, "Taught"),
    list.length ? null : h("p", { class: "empty" }, "Nothing yet."),
    h("ul", { class: "taught" }, some.map((e) => h("li", null,
      h("p", null, e.text, e.pair ? ` | ${e.pair}` : null),
      h("span", { class: "tag", "data-not": String(!!e.rejected) }, said(e)),
      e.learned ? null : h("span", { class: "hint" }, "waits"),
      h("button", { type: "button", class: "link", "aria-label": `Forget this one: ${e.text || said(e)}`,
        onclick: () => forgetOne(id, e.text, e) }, "Forget this one")))),
    list.length > 6 ? h("button", { type: "button", class: "quiet", onclick: () => { all = !all; showProfile(); } },
      all ? "Show the newest" : `Show all ${list.length}`) : null);
}

// ---- Beginning

$("#ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const box = $("#message"), text = box.value.trim();
  if (text && page.who != null && await ask(text) && box.value.trim() === text) box.value = "";
});
$("#message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("#ask").requestSubmit();
  }
});
$("#add").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = $("#name").value.trim();
  $("#name").value = "";
  if (id) choose(id);
});
$("#with").addEventListener("change", () => choose(page.who, $("#with").value || null));

const refresh = (id) => inTurn(() => attempt(async () => {
  await loadPeople();
  if (shown().includes(id)) await show(page.texts);
}, true));

attempt(async () => {
  page.about = await api("GET", "/page/about");
  await loadPeople();
  const query = new URLSearchParams(location.search);
  const first = query.get("p") || [...page.people.keys()][0] || "you";
  await choose(first, query.get("with"));
  listen({
    learned(report) {
      if (shown().includes(report.profile)) say(`${report.profile} learned: ${report.reason}.`);
      refresh(report.profile);
    },
  }, () => refresh(page.who));
});
