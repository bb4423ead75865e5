// Package sdk gives each user of a Go program a classifier of their own, from a profile of a few hundred bytes: two k-hot masks that choose,
// in every block of one frozen language model, which adapters of one shared frozen bank are averaged for that user (X-PEFT, arXiv 2401.16137).
//
//	p, err := sdk.Create("profiles", sdk.Config{
//		Model:  modelDir, // a BERT checkpoint in Hugging Face's layout
//		Bank:   sdk.RandomBank{N: 150, Seed: 42},
//		Labels: []string{"urgent", "later", "ignore"},
//	})
//	rep, err := p.Learn(ctx, "alice", examples, nil)
//	out, err := p.Predict(ctx, "alice", "the server is down")
//	fmt.Println(out.Label, out.Source, rep.After.Accuracy)
//
// A folder holds everything: xpeft.db, a bbolt file with the profiles, xpeft.keys if Options.MasterKey encrypts them, banks/ with warm banks, and backups/ with what the
// last backups are remembered by. One process opens it at a time, or several
// with Options.ReadOnly.
//
// # Concurrency
//
// An [SDK] is safe for concurrent use. A Predict that overlaps a Learn, an Import or a Forget sees one whole revision of the profile, old or new.
// Learns of one profile wait for each other; so do more Learns than Options.Learns. Predict never waits for a Learn to end. Several profiles learn faster in one LearnMany than
// one after another.
//
// # Forward passes
//
// Concurrent calls share forward passes: each of Options.Workers lanes runs one at a time, on one core, and takes what waits when it is free, at most Options.PassTokens. A
// text's answer is the same to the bit whatever is beside it, on CPUs with AVX2; elsewhere, and on a GPU, but for rounding. Stats.Passes counts.
//
// # Memory
//
// Tensors are outside of Go's heap. The encoder's weights are mapped; the first Predict packs a copy of the large ones, 43 MB for MiniLM-L6. A random bank of N=150 at L=6, d=384, b=24 takes 66 MB, row by row as it is used, and
// folded adapters (0.44 MB each at those sizes) are cached within Options.CacheBytes.
package sdk
