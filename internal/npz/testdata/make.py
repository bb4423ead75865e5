"""Makes head.npz, packed.npz and object.npz: what NumPy writes of a classifier."""
import numpy as np

coef = np.asfortranarray(np.arange(6, dtype="<f8").reshape(3, 2) / 4)
parts = dict(coef=coef, intercept=np.array([0.5, -1, 2], dtype="<f4"), counts=np.array([3, 0, 70000]))
np.savez("head.npz", classes=np.array(["é", "später", "c"]), **parts)
np.savez_compressed("packed.npz", classes=np.array([b"a", b"later", b"c"]), half=np.array([0.5, 65504], dtype="<f2"), **parts)
np.savez("object.npz", classes=np.array(["a", "b", "c"], dtype=object), **parts)
