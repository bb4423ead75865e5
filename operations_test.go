package xpeft_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestOperationsListsEveryError: the runbook says what each exported error of package sdk means,
// and what to do, and names none that there is not.
func TestOperationsListsEveryError(t *testing.T) {
	data, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(data), "\n## Errors\n")
	if !ok {
		t.Fatal("docs/operations.md has no section Errors")
	}
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(Err\\w+)` \\| ([^|]*) \\| ([^|]*) \\|$").FindAllStringSubmatch(
		table, -1) {
		listed = append(listed, row[1])
		if len(row[2]) < 10 || len(row[3]) < 5 {
			t.Errorf("%s: got %q and %q, want what it means and what to do", row[1], row[2], row[3])
		}
	}
	exported := exportedErrors(t, "sdk")
	if len(exported) < 20 {
		t.Fatalf("got %d exported errors of sdk, want them all: %v", len(exported), exported)
	}
	slices.Sort(listed)
	if !slices.Equal(listed, exported) {
		t.Errorf("docs/operations.md lists the errors\n%v, sdk exports\n%v", listed, exported)
	}
}

// exportedErrors are the names of the package's variables that begin with Err, sorted.
func exportedErrors(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
				for _, spec := range d.Specs {
					for _, name := range spec.(*ast.ValueSpec).Names {
						if strings.HasPrefix(name.Name, "Err") {
							names = append(names, name.Name)
						}
					}
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// TestOperationsNamesEveryOption: so does its table of options.
func TestOperationsNamesEveryOption(t *testing.T) {
	data, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for file, name := range map[string]string{"sdk/options.go": "Options", "sdk/limits.go": "Limits"} {
		namesFields(t, string(data), file, name)
	}
}

// namesFields fails for each field of a struct that has no row.
func namesFields(t *testing.T, doc, path, structName string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != structName {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			for _, name := range field.Names {
				if !name.IsExported() {
					continue
				}
				found++
				if !strings.Contains(doc, "\n| `"+name.Name+"` | ") {
					t.Errorf("docs/operations.md has no row for %s of %s", name.Name, structName)
				}
			}
		}
		return false
	})
	if found == 0 {
		t.Fatalf("%s has no %s", path, structName)
	}
}
