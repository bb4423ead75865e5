// Package fleet serves the same people on many nodes. NATS JetStream carries what they share; each
// node keeps what it serves in an sdk folder of its own.
//
// Whatever changes a profile is an operation: Observe, Learn, Forget. It goes into a stream, under
// the HMAC of the profile's id. One learner at a time has the lease of a profile. It applies the
// profile's operations in the stream's order, learns, and writes the whole person as one value, by
// compare-and-set. Every node watches the values, and takes each into its folder. A value says
// through which operation it goes, so that one that is delivered twice counts once.
//
//	layout := fleet.Layout{Folder: sdk.Config{Model: model, Labels: labels}}
//	err := fleet.Create(ctx, config, layout)
//	node, err := fleet.Open(ctx, config)
//	err = node.Observe(ctx, "alice", sdk.Example{Text: "the pump is down", Label: "urgent"})
//	answer, err := node.Predict(ctx, "alice", "the pump leaks", nil) // here, soon on all nodes
//
// Node is the noun, and has the methods of sdk.Service. docs/fleet.md has the promises and limits.
//
// # Concurrency
//
// A Node is safe for concurrent use. A directory belongs to one node, and a node's name to one
// process at a time.
package fleet
