"""The reference of internal/digits, in float64 NumPy and by the formulas alone: writes golden.json beside itself.

Run it as `python reference.py` with NumPy; it draws everything from one seed, so the file comes out the same.
"""
import json
import pathlib

import numpy as np


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def losses(logits, y, rejected):
    """Each example's loss, and its first and second derivatives by the logits."""
    n, C = logits.shape
    p, hot = softmax(logits), np.eye(C)[y]
    others = np.where(hot == 1, -np.inf, logits)
    q = softmax(others)
    loss = np.where(rejected, -np.log(1 - (p * hot).sum(1)), -np.log((p * hot).sum(1)))
    first = np.where(rejected[:, None], p - q, p - hot)

    def second(p):
        return np.stack([np.diag(r) - np.outer(r, r) for r in p])

    return loss, first, np.where(rejected[:, None, None], second(p) - second(q), second(p))


def features(P, rows, C):
    """[n, C, R·A + R]: how logits depend on x = (z, b): logits = offset + features · x."""
    n, A = P.shape
    R = len(rows)
    out = np.zeros((n, C, R * A + R))
    for r, c in enumerate(rows):
        out[:, c, r * A:(r + 1) * A] = P
        out[:, c, R * A + r] = 1
    return out


def distance(x, J, offset, target, w, shrink, centre):
    """How far the answers of x are from the target's probabilities, its gradient and its Hessian; shrink holds the strength toward centre for each value of x."""
    logits = offset + J @ x
    p = softmax(logits)
    cross = -(target * np.log(p)).sum(1)
    second = np.stack([np.diag(r) - np.outer(r, r) for r in p])
    D = w @ cross + 0.5 * (shrink * (x - centre) ** 2).sum()
    G = np.einsum('n,nc,ncx->x', w, p - target, J) + shrink * (x - centre)
    H = np.einsum('n,ncd,ncx,ndy->xy', w, second, J, J) + np.diag(shrink)
    return D, G, H


def objective(x, J, offset, y, rejected, w, shrink):
    """F, its gradient and its Hessian; shrink holds λ for each value of x."""
    loss, first, second = losses(offset + J @ x, y, rejected)
    F = w @ loss + 0.5 * (shrink * x * x).sum()
    G = np.einsum('n,nc,ncx->x', w, first, J) + shrink * x
    H = np.einsum('n,ncd,ncx,ndy->xy', w, second, J, J) + np.diag(shrink)
    return F, G, H


def newton(f, x, least):
    """Damped Newton until nothing changes; a rejection can bend F downwards, so eigenvalues are kept at least's size."""
    for _ in range(200):
        F, G, H = f(x)
        e, v = np.linalg.eigh(H)
        step = -(v / np.maximum(np.abs(e), least) @ (v.T @ G))
        t = 1.0
        while f(x + t * step)[0] > F + 1e-4 * t * (G @ step) and t > 1e-9:
            t /= 2
        if t <= 1e-9:
            return x
        x = x + t * step
    return x


def scale(byte):
    return 2.0 ** ((byte - 160) / 16)


def byte_of(s):
    return int(np.clip(np.floor(160 + 16 * np.log2(s) + 0.5), 1, 255))


def nearest(v, M):
    levels = (2 * np.arange(2 ** M) + 1) / 2 ** M - 1
    return levels[np.clip(np.floor((v + 1) * 2 ** M / 2), 0, 2 ** M - 1).astype(int)]


def round_row(z, M):
    """The byte of the scale of least squares, from one standard deviation on, and the levels."""
    first = byte_of(np.sqrt((z * z).mean()))
    lost = {b: ((z - scale(b) * nearest(z / scale(b), M)) ** 2).sum() for b in range(first, min(first + 64, 255) + 1)}
    byte = min(lost, key=lost.get)
    return byte, nearest(z / scale(byte), M)


BEYOND = 0.05  # what an error on any axis counts beside those on the texts


def refine(z, P, p, w, rows, bytes_, level, M, sweeps=3):
    """Moves single levels to the least of ½ eᵀHe, e = s·level − z, H the Hessian of cross-entropy at the solution plus BEYOND."""
    R, A = z.shape
    H = np.zeros((R * A, R * A))
    for i in range(len(P)):
        q = p[i, rows]
        H += w[i] * np.kron(np.diag(q) - np.outer(q, q), np.outer(P[i], P[i]))
    H += BEYOND * np.eye(R * A)
    level = level.copy()
    s = np.array([scale(b) for b in bytes_])
    for _ in range(sweeps):
        for r in range(R):
            for j in range(A):
                e = (s[:, None] * level - z).ravel()
                at = r * A + j
                want = level[r, j] - H[at] @ e / H[at, at] / s[r]
                edge = (want + 1) * 2 ** M / 2
                assert abs(edge - round(edge)) > 1e-6, 'at a boundary: draw another file'
                level[r, j] = nearest(want, M)
    return level


def digits(levels, M):
    """Digit m of axis j is bit j·M + (m−1): plus is 1; found by taking the largest digit that is left, with its sign."""
    out = []
    for v in levels:
        for m in range(1, M + 1):
            plus = v > 0
            out.append(int(plus))
            v -= 2.0 ** -m if plus else -2.0 ** -m
        assert abs(v) < 1e-12
    return np.packbits(out, bitorder='little')


def solve(J, offset, y, rejected, w, A, R, lam, lam_b):
    """The minimum of F, its value and its gradient's norm."""
    shrink = np.r_[np.full(R * A, lam), np.full(R, lam_b)]

    def f(x):
        return objective(x, J, offset, y, rejected, w, shrink)

    x = newton(f, np.zeros(R * A + R), shrink.min())
    F, G, _ = f(x)
    return x, F, np.linalg.norm(G)


def case(rng, n, A, C, M, lams, shares, lam_b, labels, reject, weighted):
    """One problem at two strengths; the code is that of the mean of its solutions by shares, of which the prior alone, zero, has the rest."""
    P = rng.normal(size=(n, A)).astype(np.float32).astype(float) * 0.5
    base = rng.normal(size=(n, C)).astype(np.float32).astype(float)
    prior = rng.normal(size=C).astype(np.float32).astype(float) * 0.5
    y = np.concatenate([labels, rng.choice(labels, n - len(labels))])
    rejected = rng.random(n) < reject
    w = np.round(rng.uniform(0.25, 2, n) * 4) / 4 if weighted else np.ones(n)
    rows = np.unique(y)
    R = len(rows)
    offset, J = base + prior, features(P, rows, C)
    x, F, size = solve(J, offset, y, rejected, w, A, R, lams[0], lam_b)
    other, _, other_size = solve(J, offset, y, rejected, w, A, R, lams[1], lam_b)
    probe = rng.normal(size=R * A + R)
    F_probe, G_probe, _ = objective(probe, J, offset, y, rejected, w, np.r_[np.full(R * A, lams[0]), np.full(R, lam_b)])
    mean = shares[0] * x + shares[1] * other
    z, b = mean[:R * A].reshape(R, A), mean[R * A:]
    target = softmax(offset + J @ mean)

    first = [round_row(row, M) for row in z]
    level = refine(z, P, target, w, rows, [b for b, _ in first], np.stack([l for _, l in first]), M)
    # The levels fixed: logits depend on scales in units of their bytes, and on biases. ½·BEYOND·‖s·level − z‖² pulls a scale to level·z/‖level‖².
    Jc = np.zeros((n, C, 2 * R))
    for r, c in enumerate(rows):
        Jc[:, c, r] = scale(first[r][0]) * P @ level[r]
        Jc[:, c, R + r] = 1
    shrink = np.r_[[BEYOND * scale(byte) ** 2 * (l @ l) for (byte, _), l in zip(first, level)], np.full(R, lam_b)]
    centre = np.r_[[l @ row / (l @ l) / scale(byte) for (byte, _), l, row in zip(first, level, z)], b]
    refit = newton(lambda v: distance(v, Jc, offset, target, w, shrink, centre), np.r_[np.ones(R), b], 1e-9)
    exact = np.array([refit[r] * scale(first[r][0]) for r in range(R)])
    bytes_ = [byte_of(s) if s > 0 else 1 for s in exact]
    coded = offset.copy()
    for r, c in enumerate(rows):
        coded[:, c] += scale(bytes_[r]) * P @ level[r]
    bias = newton(lambda v: distance(v, Jc[:, :, R:], coded, target, w, np.full(R, lam_b), b), refit[R:], 1e-9)
    logits = coded.copy()
    logits[:, rows] += bias
    return dict(
        A=A, C=C, Digits=M, Lambdas=lams, Shares=shares, BiasLambda=lam_b, P=(P).ravel().tolist(), Base=base.ravel().tolist(), Prior=prior.tolist(),
        Class=y.tolist(), Rejected=rejected.tolist(), Weight=w.tolist(), Labels=rows.tolist(), Probe=probe.tolist(), ProbeValue=F_probe,
        ProbeGradient=G_probe.tolist(), Value=F, GradientNorm=float(max(size, other_size)), Z=x[:R * A].tolist(), B=x[R * A:].tolist(), Mean=mean.tolist(),
        FirstScales=[int(b) for b, _ in first], Moved=int(sum((a != b).sum() for (_, a), b in zip(first, level))), Rows=np.concatenate([digits(l, M) for l in level]).tolist(), ExactScales=exact.tolist(),
        Scales=bytes_, Bias=bias.tolist(), LogProb=np.log(softmax(logits)).ravel().tolist())


def main():
    rng = np.random.default_rng(24)
    cases = [
        case(rng, 12, 24, 3, 2, [0.5, 0.1], [0.5, 0.2], 1.0, [0, 1, 2], 0, False),  # fewer examples than axes: solved in their span
        case(rng, 20, 5, 4, 3, [0.1, 0.3], [0.4, 0.6], 0.5, [0, 2, 3], 0, True),  # more: solved in the axes; label 1 has no row
        case(rng, 16, 7, 4, 1, [1.0, 0.2], [0.9, 0.1], 1.0, [0, 1, 3], 0.3, True),  # rejections; bits that do not fill their bytes
        case(rng, 10, 16, 2, 2, [0.2, 2.0], [0.7, 0.0], 2.0, [1], 0, False),  # one label
    ]
    for c in cases:
        print('n', len(c['Class']), 'moved', c['Moved'], 'F', c['Value'], 'gradient', c['GradientNorm'])
    pathlib.Path(__file__).with_name('golden.json').write_text(json.dumps(cases) + '\n')


main()
