// What both pages use: elements, the API and its troubles in words, events, fingerprints of masks.

// h makes an element; properties that begin with "on" are listeners, "class" and others attributes.
export function h(tag, props, ...children) {
  const el = document.createElement(tag);
  for (const [key, value] of Object.entries(props ?? {})) {
    if (key.startsWith("on")) el.addEventListener(key.slice(2), value);
    else if (value === true) el.setAttribute(key, "");
    else if (value !== false && value != null) el.setAttribute(key, value);
  }
  el.append(...children.flat().filter((c) => c != null && c !== false));
  return el;
}

// svg is h for pictures.
export function svg(tag, props, ...children) {
  const el = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(props ?? {})) el.setAttribute(key, value);
  el.append(...children.flat());
  return el;
}

export const $ = (selector) => document.querySelector(selector);
export const percent = (x) => `${Math.round(100 * x)}\u00a0%`;
export const plural = (n, one, many = one + "s") => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
export const calm = matchMedia("(prefers-reduced-motion: reduce)");

export function bytes(n) {
  if (n < 10_000) return `${n.toLocaleString("en")} bytes`;
  return n < 1e6 ? `${(n / 1e3).toFixed(1)} kB` : `${(n / 1e6).toFixed(1)} MB`;
}

// Problem is an answer that is no success, in words; status 0: there was no answer.
export class Problem extends Error {
  constructor(status, words, wait = 0) {
    super(words);
    Object.assign(this, { status, wait });
  }
}

// api calls a route of the server.
export async function api(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
    });
    if (answer.ok) return answer.status === 204 ? null : await answer.json(); // which may break off
  } catch {
    throw new Problem(0, "The server does not answer. Nothing that you typed is lost.");
  }
  const wait = Math.min(60, Number(answer.headers.get("Retry-After")) || 1);
  if (answer.status === 429) throw new Problem(429, "Too many requests at once. The server asks to wait a little.", wait);
  const { detail, title } = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, detail ?? title ?? `The server answered ${answer.status}.`);
}

export const path = (id, ...rest) => ["/v1/profiles", encodeURIComponent(id), ...rest].join("/");

// attempt runs what a person asked for. What goes wrong is said in words, with a button that tries
// again, once the time has passed that the server named. What nobody asked for is quiet: its success
// does not take away the words about what somebody did ask for.
export async function attempt(work, quiet = false) {
  try {
    await work();
    if (!quiet || troubleIsQuiet) trouble(null);
    return true;
  } catch (err) {
    if (!(err instanceof Problem)) throw err;
    if (quiet && !troubleIsQuiet) return false;
    troubleIsQuiet = quiet;
    trouble(err, () => attempt(work, quiet));
    return false;
  }
}

let countdown, troubleIsQuiet = true;
function trouble(problem, again) {
  const box = $("#trouble");
  clearInterval(countdown);
  box.hidden = !problem;
  if (!problem) {
    troubleIsQuiet = true;
    return;
  }
  const button = h("button", { type: "button", class: "quiet", onclick: again }, "Try again");
  box.replaceChildren(h("p", null, problem.message), button);
  let left = problem.wait;
  const tick = () => {
    button.disabled = left > 0;
    button.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
    if (left-- <= 0) clearInterval(countdown);
  };
  tick();
  countdown = setInterval(tick, 1000);
}

// say tells what was done, to eyes and to a screen reader.
let silence;
export function say(words) {
  const line = $("#said");
  line.textContent = words;
  clearTimeout(silence);
  silence = setTimeout(() => { line.textContent = ""; }, 6000);
}

const RELISTEN = 5000; // milliseconds

// listen follows the server's events, and shows whether it can.
export function listen(handlers, onreturn) {
  const live = $("#live");
  const show = (state, words) => {
    live.dataset.state = state;
    live.querySelector("b").textContent = words;
  };
  let lost = false;
  (function connect() {
    const source = new EventSource("/v1/events");
    source.onopen = () => {
      show("live", "Live");
      if (lost) onreturn?.();
      lost = false;
    };
    source.onerror = () => {
      show("lost", "Not connected");
      lost = true;
      // After an answer that is no stream, as 429 and 503, the browser does not try again by itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, RELISTEN);
    };
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
  })();
}

// bits decodes a row of the route /page/codes.
export const bits = (row) => {
  const raw = atob(row.bits);
  return Array.from({ length: row.n }, (_, i) => (raw.charCodeAt(i >> 3) >> (i & 7)) & 1);
};

// levels of a row of digits: for each axis 0 to 3, the two signs as a number. Rows of another kind
// are one cell a bit, 0 or 3.
export function levels(row) {
  const b = bits(row);
  if (!row.digits) return b.map((x) => 3 * x);
  return Array.from({ length: b.length / 2 }, (_, j) => 2 * b[2 * j] + b[2 * j + 1]);
}

const drawn = new Set(); // canvases to draw anew when the theme changes
addEventListener("theme", () => {
  for (const c of drawn) c.isConnected ? c.draw() : drawn.delete(c);
});

// tile draws cells of levels 0 to 3, from light to dark, in the element's own colour.
export function tile(cells, { width = Math.ceil(Math.sqrt(cells.length)), ...props } = {}) {
  const canvas = h("canvas", { width, height: Math.ceil(cells.length / width), ...props });
  canvas.draw = () => {
    if (!canvas.isConnected) return; // replaced before it was seen
    const [r, g, b] = getComputedStyle(canvas).color.match(/[\d.]+/g).map(Number);
    const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
    cells.forEach((level, i) => image.data.set([r, g, b, [16, 90, 165, 255][level]], 4 * i));
    context.putImageData(image, 0, 0);
  };
  drawn.add(canvas);
  requestAnimationFrame(canvas.draw);
  return canvas;
}

// fingerprint is the face of a profile: the first axes of its first row, in a hue of the name's; an
// initial, if it has learned none yet.
export function fingerprint(id, code, size = "") {
  const row = code?.rows.find((r) => r.digits) ?? code?.rows[0];
  const face = h("span", { class: `face ${size}`, "aria-hidden": "true" });
  const hue = [...id].reduce((sum, c) => (31 * sum + c.codePointAt(0)) % 360, 140);
  face.style.setProperty("--hue", hue);
  face.append(row ? tile(levels(row).slice(0, 64)) : [...id][0]?.toUpperCase() ?? "?");
  return face;
}
