package model

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/xpeft/xpeft/internal/bpe"
	"github.com/xpeft/xpeft/internal/unigram"
)

// parseSubwords reads a tokenizer.json whose model is Unigram or BPE.
func parseSubwords(kind string, file *tokenizerFile, settings tokenizerSettings) (*tokenizerSpec, error) {
	spec := &tokenizerSpec{added: file.AddedTokens, sub: &subwords{kind: kind}}
	parse := spec.parseUnigram
	if kind == "BPE" {
		parse = spec.parseBPE
		spec.unk = settings.special["unk_token"].token.Content
	}
	return spec, cmp.Or(
		parse(file),
		wantSide("truncation", file.Truncation, settings.fields["truncation_side"]),
		wantSide("padding", file.Padding, settings.fields["padding_side"]),
		spec.parseSubwordPost(file.PostProcessor),
	)
}

// parseSubwordPost accepts "<s> A </s> </s> B </s>" without types, in two spellings.
func (spec *tokenizerSpec) parseSubwordPost(b json.RawMessage) error {
	if typeOf(b) == "RobertaProcessing" {
		return spec.parseClsSep(b)
	}
	if err := wantType("post_processor", b, "TemplateProcessing", "RobertaProcessing"); err != nil {
		return err
	}
	return spec.parseTemplate(b)
}

func (spec *tokenizerSpec) parseUnigram(file *tokenizerFile) error {
	var model struct {
		UnkID *int32      `json:"unk_id"`
		Vocab [][2]any    `json:"vocab"`
		Bytes interface{} `json:"byte_fallback"`
	}
	if err := json.Unmarshal(file.Model, &model); err != nil {
		return tokenizerf("tokenizer.json: model: %v", err)
	}
	if model.UnkID == nil || model.Bytes != nil && model.Bytes != false {
		return unsupportedf("tokenizer.json: model: unk_id null or byte_fallback, want an unknown token")
	}
	pieces := make([]unigram.Piece, len(model.Vocab))
	spec.vocab = make(map[string]int32, len(model.Vocab))
	for i, entry := range model.Vocab {
		text, ok1 := entry[0].(string)
		score, ok2 := entry[1].(float64)
		if !ok1 || !ok2 {
			return tokenizerf("tokenizer.json: model: vocab: entry %d is %v, want a token and a score", i, entry)
		}
		pieces[i] = unigram.Piece{Text: text, Score: score}
		spec.vocab[text] = int32(i)
	}
	split, err := parseMetaspace(file.PreTokenizer)
	if err != nil {
		return err
	}
	steps, err := spec.sub.parseNormalizer(file.Normalizer)
	if err != nil {
		return err
	}
	m, err := unigram.New(pieces, *model.UnkID, split)
	if err != nil {
		return tokenizerf("tokenizer.json: model: %v", err)
	}
	spec.unk, spec.sub.model = pieces[*model.UnkID].Text, m
	spec.sub.word = func(token string) string {
		word, _ := strings.CutPrefix(token, unigram.Space)
		if word == token {
			return ""
		}
		return word
	}
	h := sha256.New()
	fmt.Fprintf(h, "unk=%d split=%t %s\n", *model.UnkID, split, steps)
	for _, p := range pieces {
		fmt.Fprintf(h, "%g ", p.Score)
	}
	spec.sub.digest = [32]byte(h.Sum(nil))
	return nil
}

// normalizerPart is one of a normalizer's steps.
type normalizerPart struct {
	Type     string          `json:"type"`
	Charsmap json.RawMessage `json:"precompiled_charsmap"`
	Left     bool            `json:"strip_left"`
	Right    bool            `json:"strip_right"`
	Content  string          `json:"content"`
	Pattern  struct {
		Regex string
	} `json:"pattern"`
	Parts []json.RawMessage `json:"normalizers"`
}

// parseNormalizer reads what SentencePiece's models come with: Precompiled, then perhaps Strip and
// Replace. It returns the steps in words.
func (sub *subwords) parseNormalizer(b json.RawMessage) (string, error) {
	parts := []json.RawMessage{b}
	var all normalizerPart
	if err := json.Unmarshal(orNull(b), &all); err != nil {
		return "", tokenizerf("tokenizer.json: normalizer: %v", err)
	}
	switch typeOf(b) {
	case "null":
		parts = nil
	case "Sequence":
		parts = all.Parts
	}
	var charsmap []byte
	var steps []unigram.Step
	for i, raw := range parts {
		var p normalizerPart
		if err := json.Unmarshal(orNull(raw), &p); err != nil {
			return "", tokenizerf("tokenizer.json: normalizer: %v", err)
		}
		switch {
		case p.Type == "Precompiled" && i == 0:
			var text string
			err := json.Unmarshal(orNull(p.Charsmap), &text)
			if charsmap, _ = base64.StdEncoding.DecodeString(text); err != nil || charsmap == nil || text == "" {
				return "", tokenizerf("tokenizer.json: normalizer: precompiled_charsmap: want base64")
			}
		case p.Type == "Strip":
			steps = append(steps, unigram.Step{Left: p.Left, Right: p.Right})
		case p.Type == "Replace" && p.Pattern.Regex == " {2,}" && p.Content != "":
			steps = append(steps, unigram.Step{Spaces: p.Content})
		default:
			return "", unsupportedf("tokenizer.json: normalizer %q in place %d, want Precompiled, then Strip or "+
				"Replace of \" {2,}\"", p.Type, i)
		}
	}
	n, err := unigram.NewNormalizer(charsmap, steps...)
	if err != nil {
		return "", tokenizerf("tokenizer.json: normalizer: %v", err)
	}
	sub.normalizer = n
	return fmt.Sprintf("charsmap=%x steps=%v", sha256.Sum256(charsmap), steps), nil
}

// parseMetaspace reads Metaspace, or WhitespaceSplit and Metaspace, of which split says so.
func parseMetaspace(b json.RawMessage) (split bool, err error) {
	if typeOf(b) == "Sequence" {
		var p struct {
			Parts []json.RawMessage `json:"pretokenizers"`
		}
		if err := json.Unmarshal(b, &p); err != nil {
			return false, tokenizerf("tokenizer.json: pre_tokenizer: %v", err)
		}
		if len(p.Parts) != 2 || typeOf(p.Parts[0]) != "WhitespaceSplit" {
			return false, unsupportedf("tokenizer.json: pre_tokenizer Sequence of %.80s, want WhitespaceSplit and "+
				"Metaspace", p.Parts)
		}
		split, b = true, p.Parts[1]
	}
	if err := wantType("pre_tokenizer", b, "Metaspace"); err != nil {
		return false, err
	}
	return split, wantFields("pre_tokenizer", b, []neutral{{"replacement", []string{`"` + unigram.Space + `"`}},
		{"add_prefix_space", []string{"true"}}, {"prepend_scheme", []string{`"always"`}}, {"split", []string{"true"}}})
}

func (spec *tokenizerSpec) parseBPE(file *tokenizerFile) error {
	err := cmp.Or(wantType("normalizer", file.Normalizer, "null"),
		wantType("pre_tokenizer", file.PreTokenizer, "ByteLevel"),
		wantFields("pre_tokenizer", file.PreTokenizer, []neutral{{"add_prefix_space", []string{"false"}},
			{"use_regex", []string{"true"}}}),
		wantFields("model", file.Model, []neutral{{"dropout", []string{"0", "0.0"}},
			{"continuing_subword_prefix", []string{`""`}}, {"end_of_word_suffix", []string{`""`}},
			{"byte_fallback", []string{"false"}}, {"ignore_merges", []string{"false"}}}))
	if err != nil {
		return err
	}
	var model struct {
		Vocab  map[string]int32 `json:"vocab"`
		Merges []mergedPair     `json:"merges"`
	}
	if err := json.Unmarshal(file.Model, &model); err != nil {
		return tokenizerf("tokenizer.json: model: %v", err)
	}
	h, merges := sha256.New(), make([][2]string, len(model.Merges))
	for i, m := range model.Merges {
		merges[i] = m
		fmt.Fprintf(h, "%q\n", m)
	}
	m, err := bpe.New(model.Vocab, merges)
	if err != nil {
		return tokenizerf("tokenizer.json: model: %v", err)
	}
	none, _ := unigram.NewNormalizer(nil) // which cannot fail
	spec.vocab, spec.sub.model, spec.sub.normalizer = model.Vocab, m, none
	spec.sub.digest = [32]byte(h.Sum(nil))
	spec.sub.word = func(token string) string {
		text, _ := bpe.Bytes(token)
		word, ok := strings.CutPrefix(text, " ")
		if !ok {
			return ""
		}
		return word
	}
	return nil
}

// mergedPair is two tokens, in a list or, in older files, in one string.
type mergedPair [2]string

func (p *mergedPair) UnmarshalJSON(b []byte) error {
	var list []string
	if len(b) > 0 && b[0] == '"' {
		var text string
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		list = strings.Split(text, " ")
	} else if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	if len(list) != 2 {
		return fmt.Errorf("merge %s of %d tokens, want 2", bytes.TrimSpace(b), len(list))
	}
	*p = mergedPair(list)
	return nil
}

// wantFields is wantNeutral of one of tokenizer.json's parts.
func wantFields(part string, b json.RawMessage, rules []neutral) error {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(orNull(b), &fields); err != nil {
		return tokenizerf("tokenizer.json: %s: %v", part, err)
	}
	return wantNeutral(fields, "tokenizer.json: "+part+":", rules)
}
