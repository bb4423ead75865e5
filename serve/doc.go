// Package serve is the HTTP API: profiles for programs in any language. A [Server] has tenants,
// each an open folder with bearer tokens of its own; docs/serve.md has routes, errors and how to
// run it, and GET /openapi.json the same for machines.
//
//	events := &serve.Events{}
//	p, err := sdk.Open(ctx, "profiles", &sdk.Options{OnLearned: events.OnLearned})
//	s, err := serve.New([]serve.Tenant{{Folder: p, Events: events}}, nil)
//	err = s.Run(ctx, listener, nil) // until ctx is done, then it drains
//
// A body is read strictly and within limits, an error is a [Problem], and no log line has the id of
// a profile.
//
// # Concurrency
//
// A Server and Events are safe for concurrent use. Close the folders after Run has returned.
package serve
