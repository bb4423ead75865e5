// Package sdk gives each user of a Go program a classifier of their own, from a profile of some 250
// bytes: for each label a row of digits, which says how much of each of the folder's axes is added
// to the shared head for that user. Axes are directions of one frozen language model's states.
// Where people give different labels to the same texts, TrainBank finds the few axes on which they
// differ, and a new profile is its place on these, 8 bytes at most. Profiles of masks, which choose
// adapters of one shared frozen bank in every block (X-PEFT, arXiv 2401.16137), are there as well:
// Config.Masks, LearnOptions.Config, own heads. docs/learning.md has both.
//
//	p, err := sdk.Create(ctx, "profiles", sdk.Config{
//		Model:  modelDir, // a BERT checkpoint in Hugging Face's layout
//		Labels: []string{"urgent", "later", "ignore"},
//	})
//	rep, err := p.Learn(ctx, "alice", examples, nil)
//	out, err := p.Predict(ctx, "alice", "the server is down", nil)
//	fmt.Println(out.Label, out.Source, rep.After.Accuracy)
//
// A folder holds everything: xpeft.db, a bbolt file with the profiles, xpeft.keys if
// Options.MasterKey encrypts them, and banks/ with the axes and warm banks. One process opens it at
// a time, or several with Options.ReadOnly.
//
// # Concurrency
//
// A [Folder] is safe for concurrent use. A Predict that overlaps a Learn, an Import or a Forget
// sees one whole revision of the profile, old or new. Learns of one profile wait for each other; so
// do more Learns than Options.Learns. Predict never waits for a Learn to end. Several profiles
// learn masks faster in one LearnMany than one after another.
//
// # Forward passes
//
// Concurrent calls share forward passes: each of Options.Workers lanes runs one at a time, on one
// core, and takes what waits when it is free, at most Options.PassTokens. On Linux with cgo a pass
// of the C kernels uses the cores of idle lanes too, while nothing is learned. A text's answer is
// the same to the bit whatever is beside it; on a GPU, but for rounding. Stats.Passes counts.
//
// # Memory
//
// The encoder's weights are mapped; the first Predict packs a copy of the large ones, 43 MB for
// MiniLM-L6. What profiles fold to is cached within Options.CacheBytes: 18 kB for digits of three
// labels, on Go's heap as the axes are (1.6 MB). With masks, at L=6, d=384, b=24, a folded adapter
// takes 0.44 MB, and a random bank of N=150 66 MB, row by row as it is used.
package sdk
