package xpeft_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/xpeft/xpeft"

// imports is the import table: what each package may import of this module. Imports point down only, so that
// each package can be read and tested without those above it.
var imports = map[string][]string{
	"bitmask":              {},
	"internal/half":        {},
	"internal/numeric":     {},
	"internal/quant":       {},
	"internal/safetensors": {"internal/half"},
	"internal/torch":       {},
	"internal/bert":        {},
	"store":                {"bitmask"},
	"model":                {"internal/torch", "internal/bert", "internal/safetensors"},
	"bank":                 {"model", "bitmask", "internal/torch", "internal/safetensors", "internal/half", "internal/quant"},
	"internal/folder":      {"bank", "bitmask", "model", "store"},
	"internal/axes":        {"bank"},
	"learner":              {"bank", "model", "bitmask", "internal/torch"},
	"learner/digits":       {"internal/numeric"},
	"learner/population":   {"internal/numeric", "internal/half"},
	"sdk":                  {"learner", "learner/digits", "internal/axes", "internal/folder", "bank", "model", "store", "bitmask", "internal/torch", "internal/half", "internal/quant"},
	"metrics":              {"sdk"},
	"internal/jsonl":       {},
	"cmd/xpeft":            {"sdk", "internal/jsonl", "internal/folder", "bank", "learner", "model", "store", "bitmask", "internal/torch"},

	// Research is a module of its own: no row of the product may list it.
	"research/stats": {},
	"research/plot":  {},
	"research/eval":  {"sdk", "store", "internal/folder", "internal/jsonl", "research/stats", "learner", "learner/digits", "learner/population", "bank", "model", "bitmask", "internal/torch", "internal/axes", "internal/numeric", "internal/quant"},

	"examples/demo": {"sdk", "learner", "model", "internal/torch"}, // besides the sdk, it measures a baseline

	// For tests: they are in nobody's row, so only test files can import them.
	"internal/golden":    {"internal/safetensors"},
	"internal/malloc":    {},
	"internal/torchtest": {"internal/torch"},
	"store/storetest":    {"store", "bitmask"},
}

// importsOfLeaves holds for folders of packages that nobody imports.
var importsOfLeaves = map[string][]string{
	"examples": {"sdk", "examples"},
	"fuzz":     nil, // anything
	"research": nil,
}

// owners names the one package that may import a library: its types stay out of everything else.
var owners = map[string]string{
	"github.com/sugarme/gotch": "internal/torch",
	"go.etcd.io/bbolt":         "store",
	"filippo.io/age":           "internal/folder",

	"github.com/prometheus/client_golang": "metrics", // who wants none of it links none of it
	"gonum.org/v1/plot":                   "research/plot",
}

// pure lists what must build without cgo: what can read, check, export and import profiles without libtorch.
var pure = []string{"bitmask", "store", "internal/half", "internal/numeric", "internal/jsonl", "internal/quant", "internal/safetensors", "internal/axes", "internal/folder", "model", "bank", "learner/digits", "learner/population", "cmd/xpeft"}

// listed is the part of `go list -json` that the tests read.
type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	CgoFiles   []string
	Imports    []string
}

func (p listed) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// goList lists every package of the product and of research twice, with and without cgo: some files exist in one of them only.
func goList(t *testing.T) []listed {
	t.Helper()
	return append(goListIn(t, "."), goListIn(t, "research")...)
}

func goListIn(t *testing.T, dir string) []listed {
	t.Helper()
	var all []listed
	for _, cgo := range []string{"CGO_ENABLED=0", "CGO_ENABLED=1"} {
		cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles,CgoFiles,Imports", "./...")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), cgo)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
			var p listed
			if err := dec.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("go list: %v", err)
			}
			all = append(all, p)
		}
	}
	return all
}

// row is what package name may import; anything says that it may import whatever it likes.
func row(name string) (list []string, anything, known bool) {
	if list, ok := imports[name]; ok {
		return list, false, true
	}
	top, _, _ := strings.Cut(name, "/")
	list, known = importsOfLeaves[top]
	return list, known && list == nil, known
}

// allows: a row names packages, and "examples" whatever lies in that folder.
func allows(list []string, path string) bool {
	top, _, _ := strings.Cut(path, "/")
	return slices.Contains(list, path) || top == "examples" && slices.Contains(list, top)
}

func TestImportTable(t *testing.T) {
	for _, p := range goList(t) {
		name := p.name()
		if name == "" || len(p.GoFiles)+len(p.CgoFiles) == 0 {
			continue // this folder, or tests alone
		}
		list, anything, known := row(name)
		if !known {
			t.Errorf("package %s is not in the import table: decide where it belongs", name)
		}
		for _, path := range p.Imports {
			inner, ours := strings.CutPrefix(path, module+"/")
			if ours && !anything && !allows(list, inner) {
				t.Errorf("%s imports %s: got an import that is not in the table, want one of %v", name, inner, list)
			}
			for library, owner := range owners {
				if strings.HasPrefix(path, library) && name != owner && name != "research/bench" { // a rival may be the bare library
					t.Errorf("%s imports %s: want it in %s only", name, path, owner)
				}
			}
		}
	}
}

// isLibrary: what users link, where a package must not end the process or print.
func isLibrary(name string) bool {
	_, inTable := imports[name]
	return inTable && name != "cmd/xpeft" && !strings.HasPrefix(name, "examples/")
}

// banned calls, by package: a library returns an error, and logs only to a *slog.Logger that it was given.
var banned = map[string][]string{
	"os":   {"Exit", "Stdout", "Stderr"},
	"log":  {"Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln", "Print", "Printf", "Println"},
	"fmt":  {"Print", "Printf", "Println"},
	"slog": {"Default", "SetDefault", "Debug", "Info", "Warn", "Error"},
}

func TestLibrariesNeitherExitNorPrint(t *testing.T) {
	for _, p := range goList(t) {
		if !isLibrary(p.name()) {
			continue
		}
		for _, file := range append(p.GoFiles, p.CgoFiles...) {
			checkCalls(t, filepath.Join(p.Dir, file), filepath.Join(p.name(), file))
		}
	}
}

func checkCalls(t *testing.T, path, shown string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok {
			if id, ok := call.Fun.(*ast.Ident); ok && (id.Name == "print" || id.Name == "println") {
				t.Errorf("%s:%d: a library must not call %s", shown, set.Position(id.Pos()).Line, id.Name)
			}
		}
		sel, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if pkg, ok := sel.X.(*ast.Ident); ok && slices.Contains(banned[pkg.Name], sel.Sel.Name) {
			t.Errorf("%s:%d: a library must not use %s.%s", shown, set.Position(sel.Pos()).Line, pkg.Name, sel.Sel.Name)
		}
		return true
	})
}

func TestPurePackagesBuildWithoutCgo(t *testing.T) {
	args := []string{"build", "-o", os.DevNull}
	for _, name := range pure {
		args = append(args, "./"+name)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("CGO_ENABLED=0 go build: %v\n%s", err, out)
	}
}

// maxLines keeps every file readable at one sitting.
const maxLines = 400

// TestFilesAreShort walks the folders itself: so go test sees every new file, and does not serve this
// package's results from its cache when one appears.
func TestFilesAreShort(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (path == ".git" || path == "bin" || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if got := bytes.Count(data, []byte("\n")); got > maxLines {
			t.Errorf("%s: got %d lines, want at most %d", path, got, maxLines)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
