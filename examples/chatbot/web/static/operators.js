// The operators' page: numbers of the folder, its people by their codes, masks, advice.
import { $, api, attempt, bits, bytes, calm, fingerprint, h, levels, listen, percent, plural, svg, tile } from "./common.js";
import { tsne } from "./tsne.js";

let profiles = [], codes = new Map(), settling = 0;

// ---- Numbers

function showNumbers(s) {
  const { store, cache, passes } = s, asked = cache.hits + cache.misses;
  const kernel = s.kernel.replaceAll("-", "\u2011"); // does not break there
  const waiting = profiles.reduce((sum, p) => sum + p.waiting, 0);
  const numbers = [
    ["People", store.profiles.toLocaleString("en"), plural(store.examples, "taught text")],
    ["A person's record", store.profiles ? bytes(Math.round(store.record_bytes / store.profiles)) : "none", "without taught texts"],
    ["On disk", bytes(store.file_bytes), `${bytes(store.free_bytes)} of it free`],
    ["Cache", asked ? percent(cache.hits / asked) : "unused", `${plural(cache.entries, "entry", "entries")}, ${bytes(cache.bytes)}`],
    ["Queue", plural(waiting, "text"), waiting ? `wait${waiting === 1 ? "s" : ""} to be learned` : "everything is learned"],
    ["Answers", s.predictions.toLocaleString("en"), passes.passes ? `${(passes.texts / passes.passes).toFixed(1)} texts a pass, ${kernel}` : kernel],
    ["Right before learning", s.prequential.n ? percent(s.prequential.profile) : "no data",
      s.prequential.n ? `prior ${percent(s.prequential.prior)}, base ${percent(s.prequential.base)}` : "needs a second learning"],
  ];
  $("#numbers").replaceChildren(...numbers.map(([name, value, more]) =>
    h("div", null, h("h2", null, name), h("p", { class: "big" }, value), h("p", { class: "hint" }, more))));
}

// ---- Advice

function showAdvice(a) {
  if (!a) {
    $("#advice").replaceChildren(h("p", { class: "empty advice" },
      "Not measured yet. It says whether these people differ along axes that would help new ones, and changes nothing."));
    return;
  }
  const when = new Date(a.time).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
  $("#advice").replaceChildren(h("div", { class: "advice" },
    h("p", { class: "big" }, a.worth ? "A bank of these people is worth it" : "A bank of these people is not worth it yet"),
    h("p", null, `${a.reason}.`),
    a.more_people ? h("p", null, `About ${plural(a.more_people, "more person", "more people")} would tell.`) : null,
    a.low < a.high ? range("a bank gains, in log-loss", a.gain, a.low, a.high) : null,
    a.head_reason ? h("p", null, `Shared head: ${a.head_reason}.`) : null,
    a.head_low < a.head_high ? range("a shared head gains, in log-loss", a.head_gain, a.head_low, a.head_high) : null,
    h("p", { class: "hint" }, `Measured ${when}, on ${plural(a.people, "person", "people")}.`)));
}

// range draws a gain and its interval, beside zero.
function range(name, gain, low, high) {
  const from = Math.min(0, low), to = Math.max(0, high), x = (v) => 10 + (300 * (v - from)) / (to - from || 1);
  return svg("svg", { viewBox: "0 0 320 52", class: "range", role: "img",
    "aria-label": `${name}: ${gain.toFixed(3)}, ${low.toFixed(3)} to ${high.toFixed(3)}` },
    svg("line", { x1: 10, x2: 310, y1: 22, y2: 22, class: "axis" }),
    svg("line", { x1: x(0), x2: x(0), y1: 10, y2: 34, class: "zero" }),
    svg("line", { x1: x(low), x2: x(high), y1: 22, y2: 22, class: "span" }),
    svg("circle", { cx: x(gain), cy: 22, r: 6 }),
    svg("text", { x: 10, y: 48 }, `${name}: ${gain.toFixed(3)}, ${low.toFixed(3)} to ${high.toFixed(3)}`));
}

$("#advise").addEventListener("click", async () => {
  const button = $("#advise");
  button.disabled = true;
  button.textContent = "Measuring, some seconds";
  await attempt(async () => {
    await api("GET", "/v1/advice");
    await load();
  });
  button.disabled = false;
  button.textContent = "Measure now";
});

// ---- Codes

// distance is the share of bits in which two people's rows of the same labels differ; a row that
// one of them lacks counts half.
function distance(a, b) {
  let differ = 0, of = 0;
  const rows = new Map(b.rows.map((row) => [`${row.side} ${row.block} ${row.label}`, row]));
  for (const row of a.rows) {
    const key = `${row.side} ${row.block} ${row.label}`, other = rows.get(key);
    rows.delete(key);
    of += row.n;
    if (other?.n !== row.n) { differ += row.n / 2; continue; }
    const x = bits(row), y = bits(other);
    for (let i = 0; i < row.n; i++) differ += x[i] ^ y[i];
  }
  for (const row of rows.values()) { of += row.n; differ += row.n / 2; }
  return of ? differ / of : 0;
}

const HEIGHT = 340;

function showMap(people) {
  const box = $("#map"), mine = ++settling;
  if (people.length < 3) {
    box.replaceChildren(h("p", { class: "empty" }, "The map begins with three people who have learned."));
    return;
  }
  const far = people.map((a) => people.map((b) => distance(a, b)));
  const most = Math.max(...far.flat()) || 1, faces = people.length <= 24;
  const points = people.map((p) => {
    const size = faces ? 40 : 12;
    const spot = svg("g", null, ...(faces ? [picture(p, size)] : [svg("circle", { r: size / 2, class: "dot" })]),
      svg("title", null, p.profile));
    if (faces) spot.append(svg("text", { y: size / 2 + 16 }, p.profile));
    return svg("a", { href: `/?p=${encodeURIComponent(p.profile)}`, "aria-label": `Messages of ${p.profile}` }, spot);
  });
  const width = Math.max(280, box.clientWidth), links = faces ? nearestOf(far).map(link) : [];
  box.replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, class: "map", role: "group",
    "aria-label": `${people.length} people; ${nearest(people, far)}` }, links.map((l) => l.element), points));
  const steps = tsne(far.map((row) => row.map((d) => d / most)));
  const move = (count) => {
    let y;
    for (let i = 0; i < count; i++) {
      const { value, done } = steps.next();
      if (done) break;
      y = value;
    }
    if (y) place(width, points, links, y);
    return y;
  };
  if (calm.matches) move(Infinity);
  else requestAnimationFrame(function frame() { if (mine === settling && move(8)) requestAnimationFrame(frame); });
}

function picture(p, size) {
  const hole = svg("foreignObject", { x: -size / 2, y: -size / 2, width: size, height: size });
  hole.append(fingerprint(p.profile, p, "on-map"));
  return hole;
}

// nearestOf pairs everybody with who is most alike.
const nearestOf = (far) => far.map((row, i) => {
  const j = row.reduce((best, d, k) => (k !== i && (best < 0 || d < row[best]) ? k : best), -1);
  return { i, j, share: row[j] };
}).filter(({ i, j }, _, all) => i < j || all[j].j !== i);

// link draws such a pair: a line, and in how many bits they differ.
function link({ i, j, share }) {
  const line = svg("line"), words = svg("text", null, `${percent(share)} differ`);
  return { i, j, line, words, element: svg("g", { class: "link" }, line, words) };
}

// nearest says of two people that they are most alike: the map in words.
function nearest(people, far) {
  let best = [0, 1];
  far.forEach((row, i) => row.forEach((d, j) => { if (i < j && d < far[best[0]][best[1]]) best = [i, j]; }));
  const [i, j] = best;
  return `most alike are ${people[i].profile} and ${people[j].profile}, who differ in ${percent(far[i][j])} of their bits`;
}

function place(width, points, links, y) {
  const [left, right, top, bottom] = [0, 1].flatMap((d) => [Math.min(...y.map((p) => p[d])), Math.max(...y.map((p) => p[d]))]);
  const at = y.map((p) => [48 + ((width - 96) * (p[0] - left)) / (right - left || 1),
    40 + ((HEIGHT - 96) * (p[1] - top)) / (bottom - top || 1)]);
  points.forEach((point, i) => point.setAttribute("transform", `translate(${at[i].map((x) => x.toFixed(1)).join(" ")})`));
  for (const { i, j, line, words } of links) {
    const [a, b] = [at[i], at[j]];
    Object.entries({ x1: a[0], y1: a[1], x2: b[0], y2: b[1] }).forEach(([key, x]) => line.setAttribute(key, x.toFixed(1)));
    words.setAttribute("x", ((a[0] + b[0]) / 2).toFixed(1));
    words.setAttribute("y", ((a[1] + b[1]) / 2 - 5).toFixed(1));
    words.style.display = Math.hypot(a[0] - b[0], a[1] - b[1]) < 130 ? "none" : ""; // no room
  }
}

// ---- Masks

function showMasks() {
  const id = $("#one").value, code = codes.get(id), box = $("#masks");
  if (!code?.rows.length) {
    box.replaceChildren(h("p", { class: "empty" }, id ? `${id} has learned no masks yet.` : "Nobody has learned yet."));
    return;
  }
  const digits = code.rows.some((r) => r.digits), count = code.rows.reduce((sum, r) => sum + r.n, 0);
  box.replaceChildren(
    h("p", { class: "hint" }, digits ? `${count.toLocaleString("en")} bits, two an axis: each cell is an axis of the model's states.`
      : `${count.toLocaleString("en")} bits.`),
    h("div", { class: "tiles" }, code.rows.map((row) => {
      const name = row.label || (row.side === "head" ? "all labels" : `${row.side} ${row.block}`);
      return h("figure", null, tile(levels(row), { role: "img", "aria-label": `${name}: ${words(row)}` }),
        h("figcaption", null, h("b", null, name), ` ${words(row)}`));
    })),
    digits ? key([[0, "−¾"], [1, "−¼"], [2, "+¼"], [3, "+¾"]]) : key([[0, "off"], [3, "on"]]));
}

const words = (row) => {
  const b = bits(row), up = b.filter((x, i) => x && !(row.digits && i % 2)).length;
  return row.digits ? `${up} of ${row.n / 2} plus` : `${up} of ${row.n} on`;
};

const key = (list) => h("p", { class: "key" }, list.map(([level, name]) =>
  h("span", null, tile([level], { "aria-hidden": "true" }), name)));

// ---- Profiles

function showTable() {
  if (!profiles.length) {
    $("#table").replaceChildren(h("p", { class: "empty" }, "Nobody yet. ", h("a", { href: "/" }, "Teach somebody something"), "."));
    return;
  }
  const share = (p, x) => (x == null || !p.examples ? "" : percent(x));
  $("#table").replaceChildren(h("table", null,
    h("thead", null, h("tr", null, ["Person", "Revision", "Learned", "Waiting", "Before", "After", "Bytes", "Of them masks"]
      .map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", null, profiles.map((p) => h("tr", null,
      h("th", { scope: "row" }, h("span", null, fingerprint(p.profile, codes.get(p.profile), "small"), p.profile)),
      [p.revision, p.examples, p.waiting, share(p, p.before), share(p, p.after), p.bytes, p.mask_bytes].map((x) => h("td", null, String(x))))))));
}

// ---- Beginning

let drawnCodes = "";
async function load() {
  const [stats, list, told] = await Promise.all([api("GET", "/v1/stats"), api("GET", "/v1/profiles?limit=200"), api("GET", "/page/codes")]);
  profiles = list.profiles;
  codes = new Map(told.people.map((p) => [p.profile, p]));
  showNumbers(stats);
  showAdvice(stats.advice);
  const select = $("#one"), before = select.value;
  select.replaceChildren(...profiles.map((p) => h("option", { value: p.profile }, p.profile)));
  select.value = codes.has(before) ? before : told.people.find((p) => p.rows.length)?.profile ?? profiles[0]?.profile ?? "";
  const now = JSON.stringify(told);
  if (now === drawnCodes) return;
  drawnCodes = now;
  showMasks();
  showTable();
  showMap(told.people.filter((p) => p.rows.length));
}

$("#one").addEventListener("change", showMasks);
attempt(load);
let soon;
const later = () => { clearTimeout(soon); soon = setTimeout(() => attempt(load, true), 300); };
listen({ learned: later, observed: later }, later);
setInterval(() => { if (!document.hidden) attempt(load, true); }, 5000);
