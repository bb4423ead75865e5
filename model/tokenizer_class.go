package model

import "strings"

// classModel is the model of a tokenizer of the folder's class: WordPiece, Unigram or BPE, "any"
// for a class that takes tokenizer.json as it is, "" for one that is not known.
func (s tokenizerSettings) classModel() string {
	class := strings.TrimSuffix(s.class, "Fast")
	switch s.class {
	case "PreTrainedTokenizerFast", "TokenizersBackend":
		return "any"
	case "":
		class = map[string]string{"": "BertTokenizer", "bert": "BertTokenizer", "distilbert": "DistilBertTokenizer",
			"roberta": "RobertaTokenizer", "xlm-roberta": "XLMRobertaTokenizer"}[s.kind]
	}
	return map[string]string{"BertTokenizer": "WordPiece", "DistilBertTokenizer": "WordPiece",
		"RobertaTokenizer": "BPE", "XLMRobertaTokenizer": "Unigram"}[class]
}

// isBERT is whether transformers would load the folder with its BERT class, whose settings go
// before tokenizer.json's.
func (s tokenizerSettings) isBERT() bool { return s.classModel() == "WordPiece" }

// checkModel refuses a tokenizer's model that the folder's class does not have.
func (s tokenizerSettings) checkModel(kind string) error {
	want := s.classModel()
	switch {
	case want != "any" && want != kind && s.class == "":
		return unsupportedf("config.json: model_type %q with a tokenizer of %q, want %q", s.kind, kind, want)
	case want != "any" && want != kind:
		return unsupportedf("tokenizer_config.json or config.json: tokenizer_class %q with a tokenizer of %q, want %q",
			s.class, kind, want)
	case kind == "WordPiece":
		return s.checkInputs()
	}
	return nil
}

// fallback is a special token that no file states, bert's own for the classes of BERT.
func (s tokenizerSettings) fallback(field, bert string) string {
	if model := s.classModel(); model == "Unigram" || model == "BPE" {
		return map[string]string{"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>",
			"mask_token": "<mask>"}[field]
	}
	return bert
}
