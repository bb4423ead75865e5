package serve

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/wire"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/sdk"
)

var update = flag.Bool("update", false, "write openapi.json")

// operation is what openapi.json says of a route beside what its types say.
type operation struct {
	id, summary  string
	query        []parameter
	body, answer any
	statuses     []int // of problems, beside those of all routes
}

type parameter struct {
	name, says string
	schema     object
}

type object = map[string]any

var operations = map[string]operation{
	"GET /v1/labels":   {id: "labels", summary: "The labels of the shared head.", answer: labels{}},
	"GET /v1/stats":    {id: "stats", summary: "Counts and sizes of the folder.", answer: sdk.Stats{}},
	"GET /v1/advice":   {id: "advise", summary: "What training a bank would gain.", answer: sdk.Advice{}, statuses: []int{409}},
	"POST /v1/predict": {id: "predictMany", summary: "Answers texts of any profiles.", body: wire.Batch{}, answer: predictions{}},
	"GET /v1/events":   {id: "allEvents", summary: "What happens to all profiles, as server-sent events."},
	"GET /v1/profiles": {id: "profiles", summary: "The profiles, by their ids.", answer: page{}, query: []parameter{
		{"prefix", "ids begin with it", object{"type": "string"}},
		{"after", "ids are behind it: the next of the page before", object{"type": "string"}},
		{"limit", "at most so many", object{"type": "integer", "minimum": 1, "maximum": mostRows, "default": 100}}},
		statuses: []int{400}},
	"GET /v1/profiles/{id}":      {id: "profile", summary: "What is known of a profile.", answer: sdk.ProfileInfo{}},
	"DELETE /v1/profiles/{id}":   {id: "forget", summary: "Forgets a profile."},
	"GET /v1/profiles/{id}/data": {id: "data", summary: "All that is stored of a person.", answer: sdk.PersonData{}},
	"POST /v1/profiles/{id}/predict": {id: "predict", summary: "Answers a text.", body: wire.Predict{},
		answer: sdk.Prediction{}},
	"POST /v1/embed": {id: "embed", summary: "The model's own embeddings of texts.", body: wire.Embed{},
		answer: embeddings{}},
	"POST /v1/profiles/{id}/rank": {id: "rank", summary: "Orders candidates for a person.", body: wire.Rank{},
		answer: sdk.Ranking{}},
	"POST /v1/profiles/{id}/chose": {id: "chose", summary: "Which of some candidates the person chose.",
		body: wire.Chose{}, answer: waiting{}, statuses: []int{409}},
	"POST /v1/profiles/{id}/learn": {id: "learn", summary: "Learns from examples, and answers when that is done.",
		body: wire.Learn{}, answer: sdk.Report{}, statuses: []int{409}},
	"POST /v1/profiles/{id}/observe": {id: "observe", summary: "Stores examples, which are learned in the background.",
		body: wire.Observe{}, answer: waiting{}, statuses: []int{409}},
	"POST /v1/profiles/{id}/confirm": {id: "confirm", summary: "A thumb up: the text is of the label.",
		body: wire.Thumb{}, answer: waiting{}, statuses: []int{409}},
	"POST /v1/profiles/{id}/reject": {id: "reject", summary: "A thumb down: the text is not of the label.",
		body: wire.Thumb{}, answer: waiting{}, statuses: []int{409}},
	"GET /v1/profiles/{id}/ask": {id: "ask", summary: "Texts whose labels would tell most about the person.",
		answer: questions{}, statuses: []int{409}, query: []parameter{
			{"n", "at most so many", object{"type": "integer", "minimum": 1, "maximum": mostAsked, "default": 3}},
			{"skip", "texts that the person was shown and gave no label to",
				object{"type": "array", "items": object{"type": "string"}}}}},
	"GET /v1/profiles/{id}/examples": {id: "examples", summary: "The stored examples, oldest first.", answer: examples{}},
	"POST /v1/profiles/{id}/examples/forget": {id: "forgetExample", summary: "Takes back what was told of a text.",
		body: wire.ForgetExample{}, answer: forgotten{}},
	"GET /v1/profiles/{id}/history": {id: "history", summary: "The earlier revisions that are kept.", answer: revisions{}},
	"POST /v1/profiles/{id}/rollback": {id: "rollback", summary: "Serves an earlier revision again.",
		body: wire.Rollback{}, answer: revision{}, statuses: []int{409}},
	"GET /v1/profiles/{id}/events": {id: "events", summary: "What happens to a profile, as server-sent events."},
}

// TestOpenAPI: openapi.json is what the routes, their types and the comments of these say. After a
// change run go test ./serve -run TestOpenAPI -update.
func TestOpenAPI(t *testing.T) {
	s := &schemas{types: map[string]reflect.Type{}, comments: comments(t, "sdk", "store", "serve", "internal/wire"), all: object{}}
	paths := object{}
	for _, r := range table {
		op, ok := operations[r.method+" "+r.path]
		if !ok {
			t.Errorf("%s %s: got no operation", r.method, r.path)
			continue
		}
		if paths[r.path] == nil {
			paths[r.path] = object{}
		}
		paths[r.path].(object)[strings.ToLower(r.method)] = s.operation(r, op)
	}
	for name := range operations {
		if !slices.ContainsFunc(table, func(r route) bool { return r.method+" "+r.path == name }) {
			t.Errorf("%s: got an operation without a route", name)
		}
	}
	for path, summary := range map[string]string{"/healthz": "The process lives.", "/readyz": "The folders answer.",
		"/openapi.json": "This document."} {
		responses := object{"200": answered200(object{"type": "object"})}
		if path == "/readyz" {
			responses["503"] = object{"$ref": "#/components/responses/Problem"}
		}
		paths[path] = object{"get": object{"operationId": strings.Trim(path, "/"), "summary": summary, "responses": responses,
			"security": []any{}}}
	}
	s.of(reflect.TypeFor[Problem]())
	got := object{"openapi": "3.1.0", "paths": paths,
		"info": object{"title": "xpeft", "version": "1", "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
			"description": "Personalization: a classifier for each user. Errors and limits: docs/serve.md."},
		"security": []any{object{"token": []any{}}, object{}},
		"components": object{"schemas": s.all,
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer",
				"description": "Chooses the tenant. Without tokens the server is for its own machine alone."}},
			"responses": object{"Problem": object{"description": "A problem of RFC 9457.", "content": object{
				"application/problem+json": object{"schema": ref("Problem")}}}}}}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(got); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(openAPI), text.String()); diff != "" {
		t.Errorf("openapi.json (-file +routes; -update writes it):\n%s", diff)
	}
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func answered200(schema object) object {
	return object{"description": "It is done.", "content": object{"application/json": object{"schema": schema}}}
}

// operation of a route. Its problems are those that its parts can have.
func (s *schemas) operation(r route, op operation) object {
	statuses := append([]int{401, 421, 429, 500, 503}, op.statuses...)
	var parameters []any
	if strings.Contains(r.path, "{id}") {
		parameters = append(parameters, object{"name": "id", "in": "path", "required": true,
			"description": "the profile's id, percent-encoded", "schema": object{"type": "string", "minLength": 1}})
		statuses = append(statuses, 400, 404)
	}
	for _, p := range op.query {
		parameters = append(parameters, object{"name": p.name, "in": "query", "description": p.says, "schema": p.schema})
		statuses = append(statuses, 400)
	}
	if r.class != streams {
		statuses = append(statuses, 504)
	}
	if r.class == writes || r.class == learns {
		statuses = append(statuses, 403, 507)
	}
	out := object{"operationId": op.id, "summary": op.summary}
	if parameters != nil {
		out["parameters"] = parameters
	}
	if op.body != nil {
		out["requestBody"] = object{"required": true, "content": object{"application/json": object{
			"schema": s.of(reflect.TypeOf(op.body))}}}
		statuses = append(statuses, 400, 408, 413, 415)
	}
	done := object{"description": "It is done."}
	switch {
	case r.class == streams:
		done["content"] = object{"text/event-stream": object{"schema": object{"type": "string"}}}
	case op.answer != nil:
		done = answered200(s.of(reflect.TypeOf(op.answer)))
	}
	responses := object{fmt.Sprint(r.code): done}
	for _, status := range statuses {
		responses[fmt.Sprint(status)] = object{"$ref": "#/components/responses/Problem"}
	}
	out["responses"] = responses
	return out
}

// schemas are those of the types that were met.
type schemas struct {
	comments map[string]string // of "package.Type" and "package.Type.Field"
	all      object
	types    map[string]reflect.Type // of all
}

// words are the strings that a type may be.
var words = map[reflect.Type][]string{
	reflect.TypeFor[sdk.Fallback](): {string(sdk.FallbackError), string(sdk.FallbackBase)},
	reflect.TypeFor[sdk.Source]():   {string(sdk.SourceProfile), string(sdk.SourceBase), string(sdk.SourceTaught)},
	reflect.TypeFor[sdk.Start]():    {string(sdk.StartFresh), string(sdk.StartProfile)},
	reflect.TypeFor[sdk.HeadKind](): {string(sdk.SharedHead), string(sdk.OwnHead), string(sdk.NumberHead)},
	reflect.TypeFor[learner.Effort](): {string(learner.EffortDefault), string(learner.EffortFast),
		string(learner.EffortThorough)},
}

// of is the schema of a type as encoding/json writes it: what may be nil may be null.
func (s *schemas) of(t reflect.Type) object {
	if of := words[t]; of != nil {
		return object{"type": "string", "enum": of}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return orNull(s.of(t.Elem()))
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": []string{"string", "null"}, "contentEncoding": "base64"}
		}
		return object{"type": []string{"array", "null"}, "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": []string{"object", "null"}, "additionalProperties": s.of(t.Elem())}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	}
	if t == reflect.TypeFor[time.Time]() {
		return object{"type": "string", "format": "date-time"}
	}
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	if strings.HasSuffix(t.PkgPath(), "store") {
		name = "Store" + name
	}
	if s.all[name] == nil {
		schema := object{"type": "object"}
		s.all[name], s.types[name] = schema, t
		properties, required := object{}, []string{}
		s.fields(t, properties, &required)
		schema["properties"], schema["required"] = properties, required
		if says := s.comments[t.String()]; says != "" {
			schema["description"] = says
		}
		if isRead(t) { // a field that is not known is an error
			schema["additionalProperties"] = false
		}
	}
	if s.types[name] != t {
		panic(fmt.Sprintf("%v and %v have one name", t, s.types[name]))
	}
	return ref(name)
}

// isRead is whether values of the type come from callers.
func isRead(t reflect.Type) bool {
	return strings.HasSuffix(t.PkgPath(), "wire") || t == reflect.TypeFor[sdk.Example]()
}

func orNull(schema object) object {
	if of, ok := schema["type"].(string); ok {
		schema["type"] = []string{of, "null"}
		return schema
	}
	return object{"anyOf": []any{schema, object{"type": "null"}}}
}

// most are the limits of lists that callers send.
var most = map[string]int{"requests": wire.MaxRequests, "examples": wire.MaxExamples, "texts": wire.MaxTexts}

func (s *schemas) fields(t reflect.Type, properties object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			s.fields(f.Type, properties, required)
		case f.IsExported() && name != "-":
			schema := s.of(f.Type)
			of, nullable := schema["type"].([]string)
			if option == "omitzero" { // what is there is no null, and may be empty
				option = "omitempty"
			}
			switch {
			case option == "omitempty" && nullable && !isRead(t):
				schema["type"] = of[0]
			case option == "omitempty" && schema["anyOf"] != nil:
				schema = schema["anyOf"].([]any)[0].(object)
			}
			if isRead(t) && most[name] > 0 {
				schema["minItems"], schema["maxItems"], schema["type"] = 1, most[name], "array"
			}
			if says := s.comments[t.String()+"."+f.Name]; says != "" {
				schema["description"] = says
			}
			if properties[name] = schema; option != "omitempty" {
				*required = append(*required, name)
			}
		}
	}
}

// comments are those of types and their fields, as one line.
func comments(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range dirs {
		paths, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range paths {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil,
				parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range file.Decls {
				if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.TYPE {
					ofTypes(path.Base(dir)+".", d, all)
				}
			}
		}
	}
	return all
}

var blanks = regexp.MustCompile(`\s+`)

func ofTypes(pkg string, d *ast.GenDecl, all map[string]string) {
	for _, spec := range d.Specs {
		typ := spec.(*ast.TypeSpec)
		add := func(name string, groups ...*ast.CommentGroup) {
			for _, g := range groups {
				if says := strings.TrimSpace(blanks.ReplaceAllString(g.Text(), " ")); says != "" && all[name] == "" {
					all[name] = says
				}
			}
		}
		add(pkg+typ.Name.Name, typ.Doc, d.Doc)
		of, ok := typ.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range of.Fields.List {
			for _, name := range f.Names {
				add(pkg+typ.Name.Name+"."+name.Name, f.Doc, f.Comment)
			}
		}
	}
}
