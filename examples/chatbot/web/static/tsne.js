// Points in the plane so that near ones stay near: t-SNE (van der Maaten & Hinton 2008), exactly,
// in O(n²) a step, for some hundred points.

// tsne yields the points after each step. distances is n×n and symmetric; the same distances give
// the same picture.
export function* tsne(distances, { perplexity = 12, steps = 400 } = {}) {
  const n = distances.length;
  const p = affinities(distances, Math.max(1, Math.min(perplexity, (n - 1) / 3)));
  const y = [], velocity = [], gains = [];
  for (let i = 0; i < n; i++) { // a spiral: no two alike
    const angle = 2.4 * i, radius = 0.01 * Math.sqrt(i + 1);
    y.push([radius * Math.cos(angle), radius * Math.sin(angle)]);
    velocity.push([0, 0]);
    gains.push([1, 1]);
  }
  for (let step = 0; step < steps; step++) {
    const early = step < steps / 4, rate = Math.max(10, n / 12);
    const g = gradient(p, y, early ? 12 : 1);
    for (let i = 0; i < n; i++) {
      for (const d of [0, 1]) {
        const same = g[i][d] > 0 === velocity[i][d] > 0;
        gains[i][d] = same ? Math.max(0.01, 0.8 * gains[i][d]) : gains[i][d] + 0.2;
        velocity[i][d] = (early ? 0.5 : 0.8) * velocity[i][d] - rate * gains[i][d] * g[i][d];
        y[i][d] += velocity[i][d];
      }
    }
    yield y;
  }
}

// affinities are the symmetric neighbour probabilities: each point's width is searched for so that
// its neighbours have the perplexity.
function affinities(distances, perplexity) {
  const rows = distances.map((d, i) => {
    let low = 0, high = Infinity, beta = 1, row;
    for (let k = 0; k < 60; k++) {
      row = d.map((x, j) => (j === i ? 0 : Math.exp(-beta * x * x)));
      const sum = row.reduce((a, b) => a + b) || 1e-300;
      row = row.map((x) => x / sum);
      const entropy = -row.reduce((a, x) => a + (x > 0 ? x * Math.log(x) : 0), 0);
      if (entropy > Math.log(perplexity)) low = beta;
      else high = beta;
      beta = high === Infinity ? 2 * low : (low + high) / 2;
    }
    return row;
  });
  return rows.map((row, i) => row.map((x, j) => Math.max((x + rows[j][i]) / (2 * rows.length), 1e-12)));
}

function gradient(p, y, exaggeration) {
  let sum = 0;
  const q = y.map((a) => y.map((b) => 1 / (1 + (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2)));
  q.forEach((row, i) => row.forEach((x, j) => { if (i !== j) sum += x; }));
  return y.map((a, i) => {
    const g = [0, 0];
    y.forEach((b, j) => {
      if (i === j) return;
      const f = 4 * (exaggeration * p[i][j] - q[i][j] / sum) * q[i][j];
      g[0] += f * (a[0] - b[0]);
      g[1] += f * (a[1] - b[1]);
    });
    return g;
  });
}
