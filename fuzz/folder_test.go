package fuzz

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/model"
)

// FuzzTokenizerFolder: whatever the files beside a vocabulary say of it, they are an error, or a
// tokenizer that encodes.
func FuzzTokenizerFolder(f *testing.F) {
	f.Add([]byte(`{"cls_token":"<s>","additional_special_tokens":["a"]}`), []byte(`{"[CLS]":2}`),
		[]byte(`{"max_seq_length":64,"do_lower_case":true}`), []byte(`{}`))
	f.Add([]byte(`{"mask_token":{"content":"the","normalized":false}}`), []byte(`{"x":99}`),
		[]byte(`{"max_seq_length":null}`), []byte(`{"prompts":{"a":"b"},"default_prompt_name":"a"}`))
	f.Add([]byte(`{"extra_special_tokens":{"x":"cafe"}}`), []byte(`null`), []byte(`{"tokenizer_args":{}}`),
		[]byte(`{"model_type":"SentenceTransformer"}`))
	dir := f.TempDir()
	write := writer(f, dir)
	if err := os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte(smallVocab), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, special, added, sentence, prompts []byte) {
		write(t, "special_tokens_map.json", special)
		write(t, "added_tokens.json", added)
		write(t, "sentence_bert_config.json", sentence)
		write(t, "config_sentence_transformers.json", prompts)
		tok, err := model.LoadTokenizer(dir)
		if err != nil {
			return
		}
		var e model.Encoding
		tok.Encode(&e, "a aa [CLS]x é the", "a", 8)
		checkEncoding(t, tok, e, "a", 8)
		if n := tok.DefaultMaxTokens(model.Config{MaxPositionEmbeddings: 512}); n < model.MinTokens || n > 256 {
			t.Fatalf("got a limit of %d tokens, want %d to 256", n, model.MinTokens)
		}
	})
}

// FuzzModules: any modules.json and pooling are an error; without weights there is never a
// checkpoint.
func FuzzModules(f *testing.F) {
	f.Add([]byte(`[{"path":"","type":"sentence_transformers.models.Transformer"},{"path":"1_Pooling","type":"sentence_transformers.models.Pooling"}]`), []byte(`{"pooling_mode":"cls"}`))
	f.Add([]byte(`[{"path":"","type":"sentence_transformers.models.Transformer"},{"path":"../x","type":"sentence_transformers.models.Pooling"}]`), []byte(`{}`))
	f.Add([]byte(`[{"type":"sentence_transformers.models.Dense"}]`), []byte(`[]`))
	dir := f.TempDir()
	write := writer(f, dir)
	const config = `{"model_type":"bert","vocab_size":20,"hidden_size":4,"num_hidden_layers":2,"num_attention_heads":2,"intermediate_size":6,"max_position_embeddings":8}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, modules, pooling []byte) {
		write(t, "modules.json", modules)
		write(t, filepath.Join("1_Pooling", "config.json"), pooling)
		if ckpt, err := model.OpenCheckpoint(dir); err == nil {
			t.Fatalf("got %v of a folder without weights, want an error", ckpt)
		}
	})
}
