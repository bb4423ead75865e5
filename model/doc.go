// Package model is the frozen encoder: a BERT-family checkpoint in Hugging Face's layout, its tokenizer, its forward pass, the
// place in each block where an adapter acts, and the heads.
//
// A Tokenizer turns texts into an Encoding, exactly as Hugging Face's BertTokenizerFast does. A Checkpoint is a folder's config.json and
// model.safetensors, checked and memory-mapped. An Encoder holds its weights on a device.
//
//	tok, err := model.LoadTokenizer(dir)
//	ckpt, err := model.OpenCheckpoint(dir)
//	err = ckpt.CheckTokenizer(tok)
//	enc, err := model.NewEncoder(ctx, engine, ckpt)
//	var e model.Encoding
//	tok.Encode(&e, "a text", "", 128)
//
// What a folder needs: config.json (model_type bert), model.safetensors, and tokenizer.json or vocab.txt; it may have
// tokenizer_config.json and 1_Pooling/config.json. Anything of them that is not supported is an error that names what was found.
//
// Config, Tokenizer and Checkpoint build without cgo; Encoder and what computes need libtorch.
//
// # Concurrency
//
// Config, Tokenizer and Encoder are safe for concurrent use, and so is a Checkpoint until Close. An Encoding belongs to one goroutine.
package model
