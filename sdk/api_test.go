package sdk

import (
	"flag"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateAPI = flag.Bool("update-api", false, "write testdata/api.txt")

// TestAPI: the package's exported names are those of testdata/api.txt. A change of the API changes
// that list: go test ./sdk -run TestAPI -update-api.
func TestAPI(t *testing.T) {
	path, got := filepath.Join("testdata", "api.txt"), strings.Join(exportedNames(t), "\n")+"\n"
	if *updateAPI {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
		t.Errorf("exported names (-%s +package):\n%s", path, d)
	}
}

// exportedNames lists constants, variables, functions, types, methods and fields.
func exportedNames(t *testing.T) (names []string) {
	t.Helper()
	all, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set, files := token.NewFileSet(), []*ast.File(nil)
	for _, path := range all {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	p, err := doc.NewFromFiles(set, files, "github.com/xpeft/xpeft/sdk")
	if err != nil {
		t.Fatal(err)
	}
	add := func(kind string, list ...string) {
		for _, name := range list {
			if _, last, ok := strings.Cut(name, "."); token.IsExported(last) || !ok && token.IsExported(name) {
				names = append(names, kind+" "+name)
			}
		}
	}
	values := func(kind string, list []*doc.Value) {
		for _, v := range list {
			add(kind, v.Names...)
		}
	}
	values("const", p.Consts)
	values("var", p.Vars)
	for _, f := range p.Funcs {
		add("func", f.Name)
	}
	for _, typ := range p.Types {
		add("type", typ.Name)
		values("const", typ.Consts)
		values("var", typ.Vars)
		for _, f := range typ.Funcs {
			add("func", f.Name)
		}
		for _, f := range typ.Methods {
			add("method", typ.Name+"."+f.Name)
		}
		ast.Inspect(typ.Decl, func(n ast.Node) bool {
			if f, ok := n.(*ast.Field); ok {
				for _, name := range f.Names {
					add("field", typ.Name+"."+name.Name)
				}
			}
			_, function := n.(*ast.FuncType)
			return !function
		})
	}
	slices.Sort(names)
	return names
}
