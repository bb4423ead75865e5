// Command xpeft learns, serves and looks after profiles from a shell.
//
//	xpeft init --model DIR --labels urgent,later,ignore
//	xpeft learn --in examples.jsonl
//	xpeft predict --profile alice "the server is down"
//	xpeft export alice -o alice.xpeft
//
// Every command prints one JSON object a line with --json, and errors are one line on stderr;
// docs/cli.md documents the fields and the exit codes.
//
// # Reading the source
//
// A file a command. app.go has what they share, exit.go the exit codes, lines.go the JSON lines
// that go in, engine.go what commands share that open the model.
package main
