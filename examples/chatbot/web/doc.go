// Package web is the page in front of the HTTP API of package serve: whose answers, what they are,
// what was taught, how often it was right; and a page for operators. Its files are embedded, and
// ask nothing of any other server.
//
//	curves := new(web.Curves)
//	options.OnLearned = func(id string, rep *sdk.Report, err error) {
//		curves.Learned(id, rep)
//		events.OnLearned(id, rep, err)
//	}
//	…
//	server.Run(ctx, listener, web.New(server, folder, curves, nil))
//
// A [Page] serves what the API has no route for under /page: what the page begins with, the codes
// of people, and the curve of one.
//
// # Concurrency
//
// All types are safe for concurrent use.
package web
