// Package openapi has one test: every answer of a running server, and every request that it takes
// or refuses, is as its OpenAPI document says. It is a module of its own, for the library that
// knows OpenAPI 3.1 brings many others.
package openapi
