package jsonl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxLine is the longest line in bytes, for those who split an input into lines.
const MaxLine = 1 << 20

// Line is one object of what is learned or asked. To learn it takes a label, labels or a value;
// to ask, none of them.
type Line struct {
	Text     string   `json:"text"`
	Pair     string   `json:"pair,omitempty"`
	Label    string   `json:"label,omitempty"`
	Labels   []string `json:"labels,omitzero"` // of a folder whose labels are not exclusive; [] is none
	Value    *float64 `json:"value,omitempty"`
	Rejected bool     `json:"rejected,omitempty"` // the text is not of the label
	Weight   *float64 `json:"weight,omitempty"`
	Profile  string   `json:"profile,omitempty"`
}

// Decode reads a line that has a text, perhaps the other fields, and nothing else.
func Decode(data []byte) (Line, error) {
	var l Line
	places := map[string]any{"text": &l.Text, "pair": &l.Pair, "label": &l.Label, "labels": &l.Labels,
		"value":    &l.Value,
		"rejected": &l.Rejected, "weight": &l.Weight, "profile": &l.Profile}
	err := object(data, func(name string, value json.RawMessage) error {
		into, ok := places[name]
		if !ok {
			return fmt.Errorf("unknown field %q", name)
		}
		if err := json.Unmarshal(value, into); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		return nil
	})
	if err == nil && l.Text == "" {
		err = errors.New(`no "text"`)
	}
	if err != nil {
		return Line{}, err
	}
	return l, nil
}

// Fields reads an object of any fields: its strings, and its numbers and booleans as they are
// written. What is null is left out, and an array or object has no text.
func Fields(data []byte) (map[string]string, error) {
	fields := map[string]string{}
	err := object(data, func(name string, value json.RawMessage) error {
		switch value[0] {
		case 'n': // null
		case '{', '[':
			return fmt.Errorf("%q: want a string, a number or a boolean", name)
		case '"':
			var s string
			if err := json.Unmarshal(value, &s); err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
			fields[name] = s
		default:
			fields[name] = string(value)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return fields, nil
}

// object calls field with each name and value of a flat object. encoding/json alone would take a
// name that is there twice, or in other letters.
func object(data []byte, field func(name string, value json.RawMessage) error) error {
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if tok, err := dec.Token(); err != nil {
		return cut(err)
	} else if tok != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return cut(err)
		}
		name := tok.(string) // the decoder gives no other key
		if seen[name] {
			return fmt.Errorf("field %q is there twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return cut(err)
		}
		if err := field(name, value); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return cut(err)
	}
	if len(bytes.TrimSpace(data[dec.InputOffset():])) > 0 {
		return errors.New("more than one JSON object")
	}
	return nil
}

// cut says in words that the line is over too early.
func cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the JSON object does not end in its line")
	}
	return err
}
