// Package openapi has one test: every answer of a running server, and every request that it takes
// or refuses, is as its OpenAPI document says. The schemas of OpenAPI 3.1 are JSON
// Schema's, so a library of these is enough; it is a module of its own for that library's sake.
package openapi
