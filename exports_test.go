package xpeft_test

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
)

var update = flag.Bool("update", false, "write the lists of exported names in testdata/exports")

// public are the packages that a program outside of this module can import, but for commands and
// examples.
var public = []string{"bank", "bitmask", "learner", "metrics", "model", "sdk", "serve", "store"}

// TestExports: what a public package exports is what testdata/exports lists. Whoever adds a name
// decides so: run go test . -run TestExports -update.
func TestExports(t *testing.T) {
	total := 0
	for _, name := range public {
		got := exports(t, name)
		total += len(got)
		path := filepath.Join("testdata", "exports", name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := strings.Split(strings.TrimSpace(string(data)), "\n")
		for _, x := range got {
			if !slices.Contains(want, x) {
				t.Errorf("%s: got %q exported, which %s does not list", name, x, path)
			}
		}
		for _, x := range want {
			if !slices.Contains(got, x) {
				t.Errorf("%s: got no %q, which %s lists", name, x, path)
			}
		}
	}
	t.Logf("%d names", total)
}

// exports are the constants, variables, functions, types, methods and fields that a package
// exports, without what they take and return.
func exports(t *testing.T, dir string) (all []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	set, files := token.NewFileSet(), []*ast.File{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	p, err := doc.NewFromFiles(set, files, module+"/"+dir)
	if err != nil {
		t.Fatal(err)
	}
	add := func(kind string, list ...string) {
		for _, name := range list {
			if _, last, ok := strings.Cut(name, "."); token.IsExported(last) || !ok && token.IsExported(name) {
				all = append(all, kind+" "+name)
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
	slices.Sort(all)
	return all
}

// TestPackagesHaveExamples: each public package has an example that compiles.
func TestPackagesHaveExamples(t *testing.T) {
	for _, name := range public {
		paths, err := filepath.Glob(filepath.Join(name, "example*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(data), "\nfunc Example")
		}
		if !found {
			t.Errorf("%s: got no example_test.go with an example, want one", name)
		}
	}
}
