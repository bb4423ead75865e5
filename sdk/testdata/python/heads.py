"""Learns heads of the texts in a folder's asked.json by scikit-learn, as docs/python.md shows: over what a head of xpeft
sees, and over a body of sentence-transformers, as SetFit's heads are.

    python heads.py FOLDER

Of each kind it writes KIND.npz, KIND.json and KIND.want.json, what the library answers to the texts.
"""
import json, os, sys
import numpy as np
from sentence_transformers import SentenceTransformer
from sklearn.linear_model import LogisticRegression

folder = sys.argv[1]
sys.path.insert(0, folder)
import xpeft_reader

def save(kind, classifier, want):
    head = dict(coef=classifier.coef_, intercept=classifier.intercept_, classes=np.array(classifier.classes_, dtype=str))
    np.savez(os.path.join(folder, kind + ".npz"), **head)
    with open(os.path.join(folder, kind + ".json"), "w") as f:
        json.dump({name: values.tolist() for name, values in head.items()}, f)
    with open(os.path.join(folder, kind + ".want.json"), "w") as f:
        json.dump([dict(zip(classifier.classes_.tolist(), row)) for row in np.asarray(want).tolist()], f)

with open(os.path.join(folder, "asked.json")) as f:
    asked = json.load(f)
texts, labels = [t["text"] for t in asked["texts"]], np.array([t["label"] for t in asked["texts"]])
encoder = xpeft_reader.Encoder(asked["model"])
profile = xpeft_reader.Profile(os.path.join(folder, "base.safetensors"))
x = np.stack([profile.features(encoder(profile, text)[0]) for text in texts])
for kind, some in ("three classes", labels != ""), ("two classes", labels != "ignore"):
    classifier = LogisticRegression(max_iter=1000).fit(x[some], labels[some])
    save(kind, classifier, classifier.predict_proba(x))

body = SentenceTransformer(asked["model"], device="cpu")
body = SentenceTransformer(modules=[body[0], body[1]], device="cpu")  # without Normalize
body.max_seq_length = profile.about["max_tokens"]
embeddings = body.encode(texts)
classifier = LogisticRegression(max_iter=1000).fit(embeddings, labels)
save("a body", classifier, classifier.predict_proba(embeddings))

# The other way: the folder's own head, as JSON, answers in scikit-learn.
with open(os.path.join(folder, "base.json")) as f:
    head = json.load(f)
classifier = LogisticRegression()
classifier.classes_, classifier.coef_ = np.array(head["classes"]), np.array(head["coef"])
classifier.intercept_ = np.array(head["intercept"])
want = np.array([[t["want"][label] for label in head["classes"]] for t in asked["texts"]])
worst = np.abs(classifier.predict_proba(x) - want).max()
print(f"{worst:.1e}  a head of xpeft in scikit-learn")
sys.exit(int(worst > 1e-4))
