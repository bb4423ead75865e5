package model

import (
	"cmp"
	"encoding/json"
	"io/fs"
)

// sentenceSettings is what sentence-transformers' own files say about tokens.
type sentenceSettings struct {
	file      string // that of the settings, "" if there is none
	lowercase bool   // texts are lower-cased before the tokenizer sees them
	maxTokens int    // 0: not said
}

// sentenceFiles are tried in this order, as sentence-transformers does: the name says little about
// the model.
var sentenceFiles = []string{
	"sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json",
	"sentence_camembert_config.json",
	"sentence_albert_config.json", "sentence_xlm-roberta_config.json", "sentence_xlnet_config.json",
}

func readSentenceSettings(dir fs.FS) (s sentenceSettings, err error) {
	if err := checkPrompts(dir); err != nil {
		return s, err
	}
	var fields map[string]json.RawMessage
	for _, name := range sentenceFiles {
		if fields, err = readObject(dir, name, maxConfigFile, ErrTokenizer); err != nil {
			return s, err
		}
		if fields != nil {
			s.file = name
			break
		}
	}
	args := []neutral{{"tokenizer_args", []string{"{}"}}, {"tokenizer_kwargs", []string{"{}"}},
		{"config_args", []string{"{}"}}, {"model_args", []string{"{}"}}}
	if err := cmp.Or(wantNeutral(fields, s.file, args),
		decode(fields, s.file, "do_lower_case", &s.lowercase, ErrTokenizer),
		decode(fields, s.file, "max_seq_length", &s.maxTokens, ErrTokenizer)); err != nil {
		return s, err
	}
	if raw := string(fields["max_seq_length"]); raw != "" && raw != "null" && s.maxTokens < MinTokens {
		return s, tokenizerf("%s: max_seq_length: got %d, want %d or more", s.file, s.maxTokens, MinTokens)
	}
	return s, nil
}

// checkPrompts refuses a folder that puts words before each text, and one for another kind of
// model than an embedder.
func checkPrompts(dir fs.FS) error {
	const name = "config_sentence_transformers.json"
	fields, err := readObject(dir, name, maxConfigFile, ErrTokenizer)
	if err != nil {
		return err
	}
	var chosen string
	prompts := map[string]string{}
	if err := cmp.Or(wantNeutral(fields, name, []neutral{{"model_type", []string{`"SentenceTransformer"`}}}),
		decode(fields, name, "default_prompt_name", &chosen, ErrTokenizer),
		decode(fields, name, "prompts", &prompts, ErrTokenizer)); err != nil {
		return err
	}
	if prompt := prompts[chosen]; chosen != "" && prompt != "" {
		return unsupportedf("%s: default_prompt_name %q puts %.40q before each text, want none", name, chosen, prompt)
	}
	return nil
}
