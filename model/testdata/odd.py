"""Writes odd.jsonl.gz: random texts and pairs of odd characters, with the ids that Hugging Face gives them under each set of flags.

    pip install tokenizers==0.22.2 && python odd.py MODEL_DIR      (MODEL_DIR: all-MiniLM-L6-v2)
"""
import gzip, json, random, sys
from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer

random.seed(3)
tok = Tokenizer.from_file(sys.argv[1] + "/tokenizer.json")
tok.no_padding()
words = [w.lstrip("#") for w in sorted(tok.get_vocab())]
marks = "\u0300\u0301\u0323\u0327\u0344\u0345\u034f\u0958\u0f39\u0f71\u0f72\u1dfa\u20dd\u302e\u302f\u3099\U00011133\U00016ff0\U0001d15f\U0001d165\U0001d16d"
others = "\u0130\u03a3\u1100\u1161\u11a8\u2126\u212b\ud55c \t\n\u00a0\u2003\u3000\u2028\u200b\x85\x0b"
tokens = ["[CLS]", "[MASK]", "[SEP", "[UNK]", "[[PAD]]"]
kinds = [dict(), dict(lowercase=False), dict(lowercase=False, strip_accents=True), dict(strip_accents=False), dict(handle_chinese_chars=False),
         dict(clean_text=False), dict(clean_text=False, strip_accents=False, lowercase=False)]


def piece():
    """One character, or a special token."""
    kind = random.randrange(8)
    spans = [(32, 127), (0, 0x250), (0x300, 0x3000), (0xE000, 0x110000), (0x3000, 0xD800)]
    if kind < len(spans):
        return chr(random.randrange(*spans[kind]))
    return random.choice([marks, others, tokens][kind - len(spans)])


def text():
    out = ""
    for _ in range(random.randrange(12)):
        out += random.choice(words) if random.random() < 0.6 else "".join(piece() for _ in range(random.randrange(1, 6)))
        out += " " * random.randrange(2)
    return out


with gzip.GzipFile("odd.jsonl.gz", "wb", mtime=0) as f:
    for i in range(1400):
        flags = dict(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True) | kinds[i % len(kinds)]
        tok.normalizer = BertNormalizer(**flags)
        a, b = text(), random.choice(["", text()])
        limit = random.choice([0, 0, 5, 6, 7, 9, 16, 33])
        tok.enable_truncation(limit, strategy="longest_first") if limit else tok.no_truncation()
        e = tok.encode(a, b) if b else tok.encode(a)
        row = dict(text=a, pair=b, max_length=limit, ids=e.ids, type_ids=e.type_ids, normalizer=dict(type="BertNormalizer") | flags)
        f.write((json.dumps(row) + "\n").encode())
