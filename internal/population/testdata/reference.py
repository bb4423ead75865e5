"""The reference of internal/population, in float64 NumPy and by the formulas alone: writes golden.json beside itself.

Run it as `python reference.py` with NumPy; it draws everything from one seed, so the file comes out the same.
"""
import json
import pathlib

import numpy as np

BIAS_SHARE = 0.01
FEWEST_ANSWERS = 3


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def person(base, axes, y, x, beta=1.0):
    """Objective, gradient and Hessian of one person by x = (z, b), b of precision beta: base [n,C], axes [n,J,C]."""
    n, J, C = axes.shape
    prior = np.concatenate([np.ones(J), np.full(C, beta)])
    features = np.concatenate([axes, np.broadcast_to(np.eye(C), (n, C, C))], axis=1)  # [n,J+C,C]
    logits = base + np.einsum('nxc,x->nc', features, x)
    p, hot = softmax(logits), np.eye(C)[y]
    value = -np.log((p * hot).sum(1)).sum() + 0.5 * x @ (prior * x)
    gradient = np.einsum('nxc,nc->x', features, p - hot) + prior * x
    S = np.stack([np.diag(r) - np.outer(r, r) for r in p])
    hessian = np.einsum('nxc,ncd,nyd->xy', features, S, features) + np.diag(prior)
    return value, gradient, hessian, p


def newton(base, axes, y, beta=1.0):
    x = np.zeros(axes.shape[1] + axes.shape[2])
    for _ in range(100):
        value, g, h, _ = person(base, axes, y, x, beta)
        if np.abs(g).max() < 1e-13:
            break
        step, t = np.linalg.solve(h, g), 1.0
        while person(base, axes, y, x - t * step, beta)[0] > value and t > 1e-12:
            t /= 2
        if t <= 1e-12:
            break
        x = x - t * step
    return x


def joint(theta, X, people, head, axis, known=(), own=None, text=0.0):
    """Value and gradients at theta [1+J,C,dim+1] and the known texts' own parts [K,1+J,C], people's z and b minimized out."""
    J, C = theta.shape[0] - 1, theta.shape[1]
    own = np.zeros((0, 1 + J, C)) if own is None else own
    known = np.array(known, int)
    rows = np.einsum('jcd,td->tjc', theta, X)
    rows[known] += own
    value, grad, by, codes = 0.0, np.zeros_like(theta), np.zeros_like(rows), []
    for texts, y in people:
        base, axes = rows[texts, 0], rows[texts, 1:]
        x = newton(base, axes, y)
        v, _, _, p = person(base, axes, y, x)
        r = p - np.eye(C)[y]
        weight = np.concatenate([[1.0], x[:J]])
        grad += np.einsum('j,nc,nd->jcd', weight, r, X[texts])
        for t, s in zip(texts, r):
            by[t] += np.outer(weight, s)
        value += v
        codes.append(x)
    shrink = np.zeros_like(theta)
    shrink[0, :, :-1], shrink[1:, :, :-1], shrink[1:, :, -1] = head, axis, BIAS_SHARE * axis
    own_shrink = text * np.concatenate([[head], np.full(J, axis)])[None, :, None]
    value += 0.5 * (shrink * theta * theta).sum() + 0.5 * (own_shrink * own * own).sum()
    return value, grad + shrink * theta, codes, by[known] + own_shrink * own


def bfgs(theta, own, X, people, head, axis, known, text):
    def at(x):
        f, g, _, g_own = joint(x[:theta.size].reshape(theta.shape), X, people, head, axis, known, x[theta.size:].reshape(own.shape), text)
        return f, np.concatenate([g.ravel(), g_own.ravel()])

    x = np.concatenate([theta.ravel(), own.ravel()])
    (f, g), H = at(x), np.eye(x.size) * 0.01
    for _ in range(3000):
        if np.abs(g).max() < 1e-9:
            break
        d, t = -H @ g, 1.0
        while True:
            f2, g2 = at(x + t * d)
            if f2 <= f + 1e-4 * t * (g @ d) or t < 1e-10:
                break
            t /= 2
        s, y = t * d, g2 - g
        if s @ y > 1e-14:
            rho, I = 1 / (s @ y), np.eye(len(x))
            H = (I - rho * np.outer(s, y)) @ H @ (I - rho * np.outer(y, s)) + rho * np.outer(s, s)
        done = f - f2 < 1e-13
        x, f, g = x + s, f2, g2
        if done:
            break
    return f


def standardise(phi, used):
    centred = phi - phi[used].mean(0)
    scale = 1 / np.sqrt((centred[used] ** 2).sum(1).mean())
    return centred * scale


def half(x):
    return x.astype(np.float16).astype(np.float64)


def draw(rng, T, D, C, U, least, most):
    phi = rng.normal(size=(T, D)).astype(np.float32).astype(np.float64) + 0.5
    phi = phi.astype(np.float32).astype(np.float64)
    people = []
    for _ in range(U):
        n = rng.integers(least, most)
        people.append((rng.permutation(T - 1)[:n], rng.integers(0, C, n)))  # the last text is nobody's
    return phi, people


def joint_case(rng, T, D, C, J, U, text=0.0):
    phi, people = draw(rng, T, D, C, U, 3, 9)
    used = np.zeros(T, bool)
    for texts, _ in people:
        used[texts] = True
    X = standardise(phi, used)
    theta = np.zeros((1 + J, C, D + 1))
    theta[:, :, :-1] = np.einsum('jct,td->jcd', rng.normal(size=(1 + J, C, T)), X) / T  # within what the texts span
    theta[:, :, -1] = rng.normal(size=(1 + J, C))
    X = np.concatenate([X, np.ones((T, 1))], axis=1)
    head, axis = 0.7, 0.3
    known = [t for t in range(T) if sum(t in texts for texts, _ in people) >= FEWEST_ANSWERS] if text else []
    own = rng.normal(size=(len(known), 1 + J, C))
    value, grad, codes, own_grad = joint(theta, X, people, head, axis, known, own, text)
    least = bfgs(theta, own, X, people, head, axis, known, text)
    return dict(C=C, D=D, J=J, Head=head, Axis=axis, Text=text, Known=known, Own=own.ravel().tolist(), OwnGradient=own_grad.ravel().tolist(), Phi=phi.ravel().tolist(), Texts=[t.tolist() for t, _ in people], Classes=[c.tolist() for _, c in people],
                Probe=theta.reshape(-1, D + 1).tolist(), Value=value, Gradient=grad.reshape(-1, D + 1).tolist(), Codes=np.array(codes).ravel().tolist(), Least=least)


def bias_bytes(b):
    return np.clip(np.floor(16 * b + 0.5) + 128, 0, 255).astype(int)


def code_case(rng, n, D, C, digits, spread, beta=1.0, known=0):
    J = len(digits)
    W, A = rng.normal(size=(C, D)).astype(np.float32), rng.normal(size=C).astype(np.float32)
    V, B = half(rng.normal(size=(J, C, D)) * 1.5), half(rng.normal(size=(J, C)))
    ranges = (spread * (1 + rng.random(J))).astype(np.float32).astype(np.float64)
    phi = rng.normal(size=(n + 6, D)).astype(np.float32)
    base = phi.astype(np.float64) @ W.T + A.astype(np.float64)
    axes = np.einsum('nd,jcd->njc', phi.astype(np.float64), V) + B
    own = half(rng.normal(size=(known, 1 + J, C)))  # of the first texts
    base[:known] += own[:, 0]
    axes[:known] += own[:, 1:]
    true = np.concatenate([rng.normal(size=J), rng.normal(size=C)])
    logits = base + np.einsum('njc,j->nc', axes, true[:J]) + true[J:]
    y = np.array([rng.choice(C, p=p) for p in softmax(logits)])
    x = newton(base[:n], axes[:n], y[:n], beta)

    def z(levels):
        return ranges * ((2 * np.array(levels) + 1) / 2.0 ** digits - 1)

    def value(levels):
        with_z = base[:n] + np.einsum('njc,j->nc', axes[:n], z(levels))
        none = np.zeros((n, 0, C))
        b = newton(with_z, none, y[:n], beta)
        return person(with_z, none, y[:n], b, beta)[0] + 0.5 * z(levels) @ z(levels), b

    levels = [int(v) for v in np.clip(np.floor((x[:J] / ranges + 1) / 2 * 2.0 ** digits), 0, 2.0 ** digits - 1)]
    nearest, moved = list(levels), True
    while moved:  # one level at a time, one step at a time
        moved = False
        for j in range(J):
            for step in (-1, 1):
                while 0 <= levels[j] + step < 2 ** digits[j]:
                    trial = list(levels)
                    trial[j] += step
                    if value(trial)[0] >= value(levels)[0] - 1e-12:
                        break
                    levels, moved = trial, True
    bias = bias_bytes(value(levels)[1])
    new = base[n:] + np.einsum('njc,j->nc', axes[n:], z(levels)) + (bias - 128) / 16
    _, _, h, _ = person(base[:n], axes[:n], y[:n], x, beta)
    asked, answered = [], rng.random(6) * 0.5 + 0.5
    for _ in range(4):
        gains = np.full(6, -np.inf)
        for i in range(6):
            if i not in asked:
                p = softmax(base[n + i] + axes[n + i].T @ x[:J] + x[J:])
                f = np.concatenate([axes[n + i], np.eye(C)])
                gains[i] = answered[i] * (np.linalg.slogdet(h + f @ (np.diag(p) - np.outer(p, p)) @ f.T)[1] - np.linalg.slogdet(h)[1])
        best = int(gains.argmax())
        p = softmax(base[n + best] + axes[n + best].T @ x[:J] + x[J:])
        f = np.concatenate([axes[n + best], np.eye(C)])
        h = h + f @ (np.diag(p) - np.outer(p, p)) @ f.T
        asked.append(best)
    return dict(C=C, D=D, J=J, W=W.ravel().tolist(), A=A.tolist(), V=V.ravel().tolist(), B=B.ravel().tolist(), Range=ranges.tolist(), Digits=digits.tolist(), Beta=beta, Own=own.ravel().tolist(),
                Phi=phi.ravel().tolist(), Class=y[:n].tolist(), Z=x[:J].tolist(), Bias=x[J:].tolist(), Moved=int(nearest != levels), Level=levels,
                BiasBytes=bias.tolist(), Logits=new.ravel().tolist(), Answered=answered.tolist(), Asked=asked)


def main():
    rng = np.random.default_rng(25)
    out = dict(
        Joint=[joint_case(rng, 14, 4, 3, 2, 9), joint_case(rng, 12, 30, 2, 1, 7), joint_case(rng, 9, 5, 4, 0, 5)],
        Code=[code_case(rng, 20, 6, 2, np.array([8, 5]), 1.5), code_case(rng, 12, 5, 3, np.array([2, 2, 1]), 1.0), code_case(rng, 3, 4, 2, np.array([8]), 2.0),
              code_case(rng, 30, 5, 4, np.array([3, 2, 2]), 1.2)])
    rng = np.random.default_rng(26)
    out['Joint'].append(joint_case(rng, 10, 4, 3, 2, 12, text=1.5))
    out['Code'].append(code_case(rng, 15, 5, 3, np.array([4, 3]), 1.5, beta=4.0, known=9))
    pathlib.Path(__file__).with_name('golden.json').write_text(json.dumps(out) + '\n')


main()
