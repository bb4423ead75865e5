// The curve of a person: how often answers were right about texts that nothing had learned yet.
import { h, percent, plural, svg } from "./common.js";

const W = 320, H = 168, LEFT = 4, RIGHT = 92, TOP = 12, BOTTOM = 22;
const lines = [["profile", "profile"], ["prior", "prior alone"], ["base", "base alone"]];

export function curve(id, points) {
  if (!points.length) {
    return h("p", { class: "empty" }, `The curve begins when ${id} learns for the second time: it needs answers to judge.`);
  }
  const last = points[points.length - 1];
  const x = (i) => LEFT + (W - LEFT - RIGHT) * (points.length > 1 ? i / (points.length - 1) : 1);
  const y = (share) => TOP + (H - TOP - BOTTOM) * (1 - share);
  const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "curve", role: "img",
    "aria-label": `Right before learning: ${lines.map(([key, name]) => `${name} ${percent(last[key])}`).join(", ")}` });
  for (const share of [0, 0.5, 1]) {
    picture.append(svg("line", { x1: LEFT, x2: W - RIGHT, y1: y(share), y2: y(share), class: "grid" }),
      svg("text", { x: LEFT, y: y(share) - 3, class: "scale" }, percent(share)));
  }
  picture.append(svg("text", { x: W - RIGHT, y: H - 6, class: "last" }, `after ${plural(points.length, "learning")}`));
  const ends = lines.map(([key]) => y(last[key]));
  apart(ends, 15);
  lines.forEach(([key, name], i) => {
    const d = points.map((p, k) => `${k ? "L" : "M"}${x(k).toFixed(1)} ${y(p[key]).toFixed(1)}`).join("");
    picture.append(svg("path", { d, class: `line ${key}` }),
      svg("circle", { cx: x(points.length - 1), cy: y(last[key]), r: key === "profile" ? 4 : 2.5, class: `end ${key}` }),
      svg("text", { x: W - RIGHT + 10, y: ends[i] + 4, class: `name ${key}` }, `${percent(last[key])} ${name}`));
  });
  return picture;
}

// apart moves heights until each two differ by a gap, in the order that they have.
function apart(heights, gap) {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a] - heights[b]);
  for (let k = 1; k < order.length; k++) {
    heights[order[k]] = Math.max(heights[order[k]], heights[order[k - 1]] + gap);
  }
}
