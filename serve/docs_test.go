package serve

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestDocumented: docs/serve.md has a row for each route, and a section with the status for each
// code of a problem, and no others.
func TestDocumented(t *testing.T) {
	data, err := os.ReadFile("../docs/serve.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(data)
	for _, r := range table {
		if !strings.Contains(doc, "\n| `"+r.method+" "+r.path+"` | ") {
			t.Errorf("docs/serve.md has no row for %s %s", r.method, r.path)
		}
	}
	codes := map[string]bool{}
	for _, k := range kinds {
		codes[k.code] = true
		if !strings.Contains(doc, "\n### "+k.code+"\n\n"+strconv.Itoa(k.status)+". ") {
			t.Errorf("docs/serve.md has no section %s of status %d", k.code, k.status)
		}
	}
	if got := strings.Count(doc, "\n### "); got != len(codes) {
		t.Errorf("docs/serve.md has %d sections of codes, want %d", got, len(codes))
	}
}
