// Package model is the frozen encoder: a BERT, DistilBERT, RoBERTa or XLM-R in Hugging Face's
// layout, its tokenizer, its forward pass, the place in each block where an adapter acts, and the
// heads.
//
// A Tokenizer turns texts into an Encoding, exactly as Hugging Face's tokenizers do. A Checkpoint
// is a folder's config.json and model.safetensors, checked and memory-mapped. An Encoder computes
// with its weights, on the goroutine that calls it. An Adapter is a profile's part of the pass.
//
//	tok, err := model.LoadTokenizer(dir)
//	ckpt, err := model.OpenCheckpoint(dir)
//	err = ckpt.CheckTokenizer(tok)
//	enc, err := model.NewEncoder(ckpt)
//	texts, x := make([]model.Encoding, 1), make([]float32, enc.Hidden())
//	tok.Encode(&texts[0], "a text", "", tok.DefaultMaxTokens(ckpt.Config))
//	err = enc.Embed(texts, nil, nil, x, nil, nil)
//
// What a folder needs: config.json (model_type bert, distilbert, roberta or xlm-roberta),
// model.safetensors, and tokenizer.json or, of WordPiece, vocab.txt. What else it has to say about
// tokens and vectors is followed too, or it is ErrUnsupported, which names the file and the field:
//
//   - tokenizer_config.json, special_tokens_map.json and added_tokens.json, as transformers reads
//     them; where two of them, or one of them and tokenizer.json or vocab.txt, contradict each
//     other the error names both;
//   - modules.json and the pooling's config.json: Transformer, Pooling (mean or cls), Normalize;
//   - sentence_bert_config.json and config_sentence_transformers.json.
//
// A vocab.txt alone that has words with capitals needs a tokenizer_config.json that says
// do_lower_case: transformers would lower-case each text and never find those words. A BERT of
// one token type reads no pairs. RoBERTa and XLM-R give a <pad> that is written out in a text no
// position of its own in transformers; here it has one.
//
// The folder may also be an fs.FS: LoadTokenizerFS, OpenCheckpointFS.
//
// # Concurrency
//
// Config, Tokenizer, Checkpoint and Encoder are safe for concurrent use, the latter two until
// Close. An Encoding belongs to one goroutine.
package model
