package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// document is an OpenAPI 3.1 document, whose schemas are JSON Schema's: of it what says which
// requests and answers are right.
type document struct {
	all      map[string]any
	compiler *jsonschema.Compiler
}

func newDocument(all map[string]any) (*document, error) {
	d := &document{all, jsonschema.NewCompiler()}
	if version, _ := all["openapi"].(string); !strings.HasPrefix(version, "3.1.") {
		return nil, fmt.Errorf("it is of OpenAPI %q", version)
	}
	if err := d.compiler.AddResource("openapi.json", all); err != nil {
		return nil, err
	}
	for name := range d.at("components", "schemas") {
		if err := d.valid(nil, "components", "schemas", name); err != nil && !isInstance(err) {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
	}
	return d, nil
}

// isInstance tells a value that is wrong from a schema that is.
func isInstance(err error) bool {
	_, ok := err.(*jsonschema.ValidationError)
	return ok
}

// at is the object at a path of names; nil if there is none.
func (d *document) at(path ...string) map[string]any {
	v := d.all
	for _, name := range path {
		v, _ = v[name].(map[string]any)
	}
	return v
}

// valid compares a value with the schema at a path of names.
func (d *document) valid(v any, path ...string) error {
	at := "openapi.json#"
	for _, name := range path {
		at += "/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	schema, err := d.compiler.Compile(at)
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// operation is where the document has a request.
func (d *document) operation(method, path string) ([]string, error) {
	for template := range d.at("paths") {
		want, got := strings.Split(template, "/"), strings.Split(path, "/")
		same := len(want) == len(got)
		for i := 0; same && i < len(want); i++ {
			same = want[i] == got[i] || want[i] == "{id}" && got[i] != ""
		}
		if at := []string{"paths", template, strings.ToLower(method)}; same && d.at(at...) != nil {
			return at, nil
		}
	}
	return nil, fmt.Errorf("no operation is %s %s", method, path)
}

// request says what is wrong with a request: its query or its body.
func (d *document) request(method, path, body string) error {
	path, query, _ := strings.Cut(path, "?")
	at, err := d.operation(method, path)
	if err != nil {
		return err
	}
	given, err := url.ParseQuery(query)
	if err != nil {
		return err
	}
	parameters, _ := d.at(at...)["parameters"].([]any)
	for _, p := range parameters {
		p := p.(map[string]any)
		name := p["name"].(string)
		values, ok := given[name]
		if delete(given, name); !ok || p["in"] != "query" {
			continue
		}
		if err := d.query(p["schema"].(map[string]any), values); err != nil {
			return fmt.Errorf("parameter %s: %w", name, err)
		}
	}
	if len(given) > 0 {
		return fmt.Errorf("unknown parameters: %v", given)
	}
	if d.at(append(at, "requestBody")...) == nil {
		return nil
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		return err
	}
	return d.valid(v, append(at, "requestBody", "content", "application/json", "schema")...)
}

// query compares the values of a parameter with its schema.
func (d *document) query(schema map[string]any, values []string) error {
	var v any = values[0]
	switch schema["type"] {
	case "array":
		list := []any{}
		for _, value := range values {
			list = append(list, value)
		}
		v = list
	case "integer":
		v = json.Number(values[0])
		if _, err := v.(json.Number).Int64(); err != nil {
			return err
		}
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("parameter.json", schema); err != nil {
		return err
	}
	s, err := c.Compile("parameter.json")
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// answer says what is wrong with an answer: its status, its type or its body.
func (d *document) answer(method, path string, status int, header http.Header, body string) error {
	path, _, _ = strings.Cut(path, "?")
	at, err := d.operation(method, path)
	if err != nil {
		return err
	}
	at = append(at, "responses", fmt.Sprint(status))
	response := d.at(at...)
	if response == nil {
		return fmt.Errorf("the operation has no answer of status %d", status)
	}
	if name, ok := response["$ref"].(string); ok {
		at = strings.Split(strings.TrimPrefix(name, "#/"), "/")
		response = d.at(at...)
	}
	if response["content"] == nil {
		if body != "" {
			return fmt.Errorf("a body, where the document has none")
		}
		return nil
	}
	kind := header.Get("Content-Type")
	if d.at(append(at, "content", kind)...) == nil {
		return fmt.Errorf("it is %q, which the document does not have", kind)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		return err
	}
	return d.valid(v, append(at, "content", kind, "schema")...)
}
