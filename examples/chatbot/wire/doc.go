// Package wire reads and writes the chatbot's HTTP bodies. They come from outside: a body is one
// JSON value with known fields and within the limits, or an error that wraps [ErrBody].
//
//	POST /users/{id}/learn    {"examples": [{"text": "…", "label": "…"}]}  →  sdk.Report
//	POST /users/{id}/observe  {"text": "…", "label": "…"}                  →  nothing
//	GET  /users/{id}/ask?n=3&skip=…                                        →  Questions
//	POST /users/{id}/predict  {"text": "…"}                                →  sdk.Prediction
//
// # Concurrency
//
// The package has functions and plain values only.
package wire
