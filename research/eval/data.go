package eval

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/internal/jsonl"
)

// ErrData is an input that cannot be evaluated.
var ErrData = errors.New("eval: bad data")

// Fields names the input's JSON fields.
type Fields struct{ ID, Text, Pair, Label string }

// Example is one labelled text of a person.
type Example struct{ Text, Pair, Label string }

// Person is one profile's examples, in the input's order.
type Person struct {
	ID       string
	Examples []Example
}

// Data is a whole input.
type Data struct {
	People []Person // sorted by id
	Labels []string // sorted
	Digest string   // the first 16 hex digits of the input's SHA-256
}

// leastTexts is how many a person needs to be evaluated on.
const leastTexts = 6

// maxInput bounds what is read, unpacked; a variable for tests.
var maxInput int64 = 1 << 30

// SplitPeople is how many people a split needs.
const SplitPeople = 6

// ReadData reads JSON lines, plain or gzipped, of that many people or more. People with fewer than
// 6 texts are left out.
func ReadData(path string, f Fields, people int) (*Data, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	var r io.Reader = bytes.NewReader(raw)
	if bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		if r, err = gzip.NewReader(r); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrData, path, err)
		}
	}
	read, err := readPeople(r, f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	d := &Data{Digest: fmt.Sprintf("%x", sum[:8])}
	labels := map[string]bool{}
	for id, examples := range read {
		if len(examples) < leastTexts {
			continue
		}
		d.People = append(d.People, Person{id, examples})
		for _, e := range examples {
			labels[e.Label] = true
		}
	}
	for l := range labels {
		d.Labels = append(d.Labels, l)
	}
	slices.Sort(d.Labels)
	slices.SortFunc(d.People, func(a, b Person) int { return strings.Compare(a.ID, b.ID) })
	if len(d.People) < people || len(d.Labels) < 2 {
		return nil, fmt.Errorf("%w: %s: %d people with %d texts or more and %d labels; want %d and 2", ErrData, path,
			len(d.People), leastTexts, len(d.Labels), people)
	}
	return d, nil
}

func readPeople(r io.Reader, f Fields) (map[string][]Example, error) {
	people := map[string][]Example{}
	left := &io.LimitedReader{R: r, N: maxInput}
	sc := bufio.NewScanner(left)
	sc.Buffer(nil, jsonl.MaxLine)
	for line := 1; sc.Scan(); line++ {
		if len(bytes.TrimSpace(sc.Bytes())) == 0 {
			continue
		}
		fields, err := jsonl.Fields(sc.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrData, line, err)
		}
		id, e := fields[f.ID], Example{fields[f.Text], fields[f.Pair], fields[f.Label]}
		if id == "" || strings.TrimSpace(e.Text) == "" || e.Label == "" {
			return nil, fmt.Errorf("%w: line %d lacks one of %q, %q, %q", ErrData, line, f.ID, f.Text, f.Label)
		}
		people[id] = append(people[id], e)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrData, err)
	}
	if left.N == 0 { // what lies behind would be left out
		return nil, fmt.Errorf("%w: %d bytes or more", ErrData, maxInput)
	}
	return people, nil
}
