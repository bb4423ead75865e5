package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	metadataKey = "__metadata__"
	maxRank     = 32 // far beyond any real tensor
)

// entry is a tensor of the header, with its place in the data.
type entry struct {
	Tensor
	begin, end int64
}

// headerReader walks the JSON token by token: encoding/json's maps would hide a name that occurs
// twice, and the fixed walk bounds the nesting by itself.
type headerReader struct{ dec *json.Decoder }

func parseHeader(b []byte) ([]entry, map[string]string, error) {
	if len(b) == 0 || b[0] != '{' {
		return nil, nil, corruptf("header does not begin with {")
	}
	if !utf8.Valid(b) {
		return nil, nil, corruptf("header is not UTF-8")
	}
	r := headerReader{json.NewDecoder(bytes.NewReader(b))}
	r.dec.UseNumber()
	entries, metadata, err := r.header()
	if err != nil {
		return nil, nil, corruptf("header: %v", err)
	}
	if _, err := r.dec.Token(); err != io.EOF {
		return nil, nil, corruptf("header: bytes behind its end")
	}
	return entries, metadata, nil
}

func (r headerReader) header() (entries []entry, metadata map[string]string, err error) {
	err = r.object("name", func(name string) error {
		if name == metadataKey {
			metadata, err = r.metadata()
			return err
		}
		e, err := r.entry(name)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		entries = append(entries, e)
		return nil
	})
	return entries, metadata, err
}

func (r headerReader) metadata() (map[string]string, error) {
	m := map[string]string{}
	err := r.object(metadataKey+": key", func(key string) error {
		v, err := r.str()
		m[key] = v
		return err
	})
	return m, err
}

func (r headerReader) entry(name string) (entry, error) {
	e := entry{Tensor: Tensor{Name: name}}
	var offsets []int64
	fields := 0
	err := r.object("field", func(key string) (err error) {
		fields++
		switch key {
		case "dtype":
			e.DType, err = r.str()
		case "shape":
			e.Shape, err = r.ints(maxRank)
		case "data_offsets":
			offsets, err = r.ints(2)
		default:
			err = fmt.Errorf("unknown field %q", key)
		}
		return err
	})
	if err != nil {
		return entry{}, err
	}
	if fields != 3 || len(offsets) != 2 {
		return entry{}, errors.New("want dtype, shape and two data_offsets")
	}
	e.begin, e.end = offsets[0], offsets[1]
	size, err := byteSize(e.DType, e.Shape)
	if err != nil {
		return entry{}, err
	}
	if e.begin < 0 || e.end < e.begin || e.end-e.begin != size {
		return entry{}, fmt.Errorf("offsets %v do not fit %s%v", offsets, e.DType, e.Shape)
	}
	return e, nil
}

// object calls field with each key, a what, which may be there once; field reads the value.
func (r headerReader) object(what string, field func(key string) error) error {
	seen := map[string]bool{}
	if err := r.delim('{'); err != nil {
		return err
	}
	for r.dec.More() {
		key, err := r.str()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("%s %q occurs twice", what, key)
		}
		seen[key] = true
		if err := field(key); err != nil {
			return err
		}
	}
	return r.delim('}')
}

func (r headerReader) ints(limit int) ([]int64, error) {
	if err := r.delim('['); err != nil {
		return nil, err
	}
	out := []int64{}
	for r.dec.More() {
		tok, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		num, ok := tok.(json.Number)
		if !ok || len(out) == limit {
			return nil, fmt.Errorf("want at most %d integers, got %v", limit, tok)
		}
		// "-0" is a JSON number, but no writer's integer; refusing it keeps one spelling per value.
		n, err := strconv.ParseInt(num.String(), 10, 64)
		if err != nil || strings.HasPrefix(num.String(), "-") {
			return nil, fmt.Errorf("%s is not a non-negative integer", num)
		}
		out = append(out, n)
	}
	return out, r.delim(']')
}

func (r headerReader) str() (string, error) {
	tok, err := r.dec.Token()
	if err != nil {
		return "", err
	}
	s, ok := tok.(string)
	if !ok {
		return "", fmt.Errorf("want a string, got %v", tok)
	}
	return s, nil
}

func (r headerReader) delim(want json.Delim) error {
	tok, err := r.dec.Token()
	if err != nil {
		return err
	}
	if tok != want {
		return fmt.Errorf("want %v, got %v", want, tok)
	}
	return nil
}

// checkCover checks that the tensors lie end to end and fill the data.
func checkCover(entries []entry, size int64) error {
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end)) // an empty tensor before its neighbour
	})
	var at int64
	for _, e := range entries {
		if e.begin != at {
			return corruptf("tensor %q: begins at %d, want %d", e.Name, e.begin, at)
		}
		if e.end > size {
			return corruptf("tensor %q: ends at %d of %d bytes: the file is cut off, download it again", e.Name,
				e.end, size)
		}
		at = e.end
	}
	if at != size {
		return corruptf("%d bytes behind the last tensor", size-at)
	}
	return nil
}
