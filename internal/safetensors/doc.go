// Package safetensors reads and writes the safetensors format: named, typed arrays behind a JSON
// header, with no code in it.
//
// A File is one file, memory-mapped or parsed from bytes, checked whole before it is returned. A
// Tensor is a view into it.
//
//	f, err := safetensors.Open("model.safetensors")
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	t, ok := f.Lookup("embeddings.word_embeddings.weight")
//	v, err := safetensors.Float32s(t) // F16 and BF16 are widened
//
// Tensor.Data points into the mapping: it is invalid after Close. Float32s and Int64s copy. A
// mapped file must not be shortened by another process while it is open: the operating system then
// raises SIGBUS.
//
// # Concurrency
//
// A File is safe for concurrent readers. Close must not overlap with any use of the file or of its
// views.
//
// # Format
//
//	+----------------------+----------------------------------+------------------------------+
//	| header length n      | n bytes of JSON, space-padded    | tensor data, end to end      |
//	| uint64 little-endian | {"name": {dtype, shape, offsets}}| little-endian, no holes      |
//	+----------------------+----------------------------------+------------------------------+
//
// Offsets count from the end of the header. The tensors cover the data exactly: no hole, no
// overlap, nothing behind the last. "__metadata__" is a map from string to string. Stricter than
// other readers: a name that occurs twice and an unknown field are errors. Write orders tensors by
// element size, largest first, then by name, so that each is aligned to its element size.
package safetensors
