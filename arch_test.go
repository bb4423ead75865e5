package xpeft_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const module = "github.com/xpeft/xpeft"

// imports is the import table: what each package may import of this module. Imports point down
// only, so that each package can be read and tested without those above it.
var imports = map[string][]string{
	"bitmask":              {},
	"internal/half":        {},
	"internal/numeric":     {},
	"internal/quant":       {},
	"internal/philox":      {},
	"internal/durable":     {},
	"internal/safetensors": {"internal/half"},
	"internal/npz":         {"internal/half"},
	"internal/dense":       {},
	"internal/bert":        {"internal/dense"},
	"internal/unigram":     {},
	"internal/charset":     {},
	"internal/bpe":         {"internal/charset"},
	"store": {"bitmask", "internal/durable", "store/internal/boltpages", "store/internal/bundle",
		"store/internal/format", "store/internal/keyring", "store/internal/sidefile"},
	"store/internal/boltpages": {"store/internal/format"},
	"store/internal/bundle":    {"store/internal/format"},
	"store/internal/format":    {"bitmask"},
	"store/internal/keyring":   {"store/internal/format"},
	"store/internal/sidefile":  {"internal/durable", "store/internal/format", "store/internal/keyring"},
	"model": {"internal/bert", "internal/bpe", "internal/charset", "internal/dense",
		"internal/safetensors", "internal/unigram"},
	"bank": {"model", "bitmask", "internal/dense", "internal/safetensors", "internal/half", "internal/numeric",
		"internal/quant", "internal/philox", "internal/durable"},
	"internal/axes": {"bank", "model", "internal/half", "internal/numeric", "internal/philox",
		"internal/durable"},
	"internal/folder":        {"bank", "bitmask", "model", "store", "internal/axes", "internal/durable"},
	"internal/digits":        {"internal/numeric"},
	"internal/rank":          {"internal/digits", "internal/numeric"},
	"internal/population":    {"internal/dense", "internal/numeric", "internal/half"},
	"internal/engine":        {"model"},
	"internal/engine/native": {"internal/engine", "internal/dense", "model"},
	"internal/engine/torch": {"internal/engine", "internal/engine/native", "internal/engine/torch/libtorch",
		"model"},
	"internal/engine/torch/libtorch": {},
	"learner": {"internal/engine", "internal/engine/native", "internal/dense", "internal/durable", "bank", "model",
		"bitmask"},
	"sdk": {"learner", "internal/digits", "internal/population", "internal/rank", "internal/engine",
		"internal/engine/native", "internal/engine/torch", "internal/axes", "internal/folder", "bank", "model",
		"store", "bitmask", "internal/half", "internal/npz", "internal/numeric", "internal/quant",
		"internal/safetensors"},
	"metrics":        {"sdk"},
	"serve":          {"sdk", "internal/wire"},
	"internal/wire":  {"sdk", "learner"},
	"internal/jsonl": {},
	"cmd/xpeft": {"sdk", "serve", "metrics", "internal/axes", "internal/jsonl", "internal/folder", "bank", "learner", "model",
		"store", "bitmask"},

	// The fleet is a module of its own, as it needs NATS: no row of the product may list it.
	"fleet":                 {"sdk"},
	"fleet/cmd/xpeft-fleet": {"fleet", "sdk"},

	// Research is a module of its own: no row of the product may list it.
	"research/stats": {},
	"research/plot":  {},
	"research/eval": {"sdk", "store", "internal/folder", "internal/jsonl", "research/stats", "learner",
		"internal/digits", "internal/population", "bank", "model", "bitmask", "internal/engine",
		"internal/engine/native", "internal/engine/torch", "internal/axes", "internal/numeric", "internal/quant"},

	"examples/demo": {"sdk", "learner", "model", "internal/engine/native"}, // besides the sdk, it measures a baseline

	// For tests: they are in nobody's row, so only test files can import them.
	"internal/golden":              {"internal/safetensors"},
	"internal/engine/enginetest":   {"internal/golden", "model"},
	"internal/engine/torch/malloc": {},
}

// importsOfLeaves holds for folders of packages that nobody imports.
var importsOfLeaves = map[string][]string{
	"examples": {"sdk", "examples"},
	"fuzz":     nil, // anything
	"research": nil,
}

// owners names the packages that may import a library: its types stay out of everything else.
var owners = map[string][]string{
	"github.com/sugarme/gotch": {"internal/engine/torch/libtorch"},
	"go.etcd.io/bbolt":         {"store", "fleet"},         // which keeps there what waits for the fleet
	"filippo.io/age":           {"internal/folder", "sdk"}, // whose options name recipients and identities

	"github.com/nats-io":                  {"fleet", "fleet/cmd/xpeft-fleet"},
	"github.com/prometheus/client_golang": {"metrics"}, // who wants none of it links none of it
	"gonum.org/v1/plot":                   {"research/plot"},
}

// listed is the part of `go list -json` that the tests read.
type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	GoFiles    []string
	CgoFiles   []string
	CXXFiles   []string
	Imports    []string
	CgoLDFLAGS []string
}

func (p listed) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// builds are the ways to build: in Go alone, with C, with libtorch. Some files are in one of them
// only.
var builds = [][]string{{"CGO_ENABLED=0", "GOFLAGS="}, {"CGO_ENABLED=1", "GOFLAGS="},
	{"CGO_ENABLED=1", "GOFLAGS=-tags=torch"}}

// goList lists every package of the product, of research and of the fleet, once for each build.
func goList(t *testing.T) (all []listed) {
	t.Helper()
	for _, dir := range []string{".", "research", "fleet"} {
		for _, build := range builds {
			all = append(all, goListIn(t, dir, build, "./...")...)
		}
	}
	return all
}

func goListIn(t *testing.T, dir string, build []string, args ...string) (all []listed) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e",
		"-json=ImportPath,Dir,Standard,GoFiles,CgoFiles,CXXFiles,Imports,CgoLDFLAGS"},
		args...)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), build...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
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
				// a rival may be the bare library
				if strings.HasPrefix(path, library) && !slices.Contains(owner, name) && name != "research/bench" {
					t.Errorf("%s imports %s: want it in %v only", name, path, owner)
				}
			}
		}
	}
}

// isLibrary: what users link, where a package must not end the process or print.
func isLibrary(name string) bool {
	_, inTable := imports[name]
	return inTable && path.Base(path.Dir(name)) != "cmd" && !strings.HasPrefix(name, "examples/")
}

// banned calls, by package: a library returns an error, and logs only to a *slog.Logger that it was
// given.
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

func TestBuildsWithoutCgo(t *testing.T) {
	cmd := exec.Command("go", "build", "./...")
	cmd.Env = append(os.Environ(), builds[0]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("CGO_ENABLED=0 go build: %v\n%s", err, out)
	}
}

// TestDefaultBuildLinksNothing: without the tag torch there is no libtorch, no C++ and no library
// of C but the system's own; with it there is.
func TestDefaultBuildLinksNothing(t *testing.T) {
	const gotch = "github.com/sugarme/gotch"
	for _, p := range goListIn(t, ".", builds[1], "-deps", "./...") {
		switch {
		case p.Standard:
		case strings.HasPrefix(p.ImportPath, gotch):
			t.Errorf("got %s in the default build, want it under the tag torch only", p.ImportPath)
		case p.name() != "internal/bert" && len(p.CgoFiles)+len(p.CXXFiles) > 0:
			t.Errorf("%s: got C in the default build (%v), want it in internal/bert only", p.ImportPath,
				append(p.CgoFiles, p.CXXFiles...))
		case len(p.CXXFiles) > 0 || slices.ContainsFunc(p.CgoLDFLAGS, func(flag string) bool { return flag != "-lm" }):
			t.Errorf("%s: got C++ %v and the linker's flags %v, want none but -lm", p.ImportPath, p.CXXFiles,
				p.CgoLDFLAGS)
		}
	}
	if !slices.ContainsFunc(goListIn(t, ".", builds[2], "-deps", "./sdk"),
		func(p listed) bool { return strings.HasPrefix(p.ImportPath, gotch) }) {
		t.Errorf("got no %s under ./sdk with the tag torch, want it there", gotch)
	}
}

// tagged says in which folders alone files may have a tag in their constraint.
var tagged = map[string][]string{
	"torch": {"internal/engine/torch/"},
	"cgo":   {"internal/engine/torch/", "internal/bert/"},
}

// TestFilesThatTagsHide: bank, learner, model, bitmask, store, sdk and commands are the same files
// in every build.
func TestFilesThatTagsHide(t *testing.T) {
	hidden := map[string]int{}
	walkGo(t, func(path string, data []byte) {
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(line, "package ") {
				return
			}
			expr, err := constraint.Parse(strings.TrimSpace(line))
			if err != nil {
				continue // no constraint
			}
			expr.Eval(func(tag string) bool {
				hidden[tag]++
				if folders, ok := tagged[tag]; ok &&
					!slices.ContainsFunc(folders, func(dir string) bool {
						return strings.HasPrefix(filepath.ToSlash(path), dir)
					}) {
					t.Errorf("%s: got the tag %s, want it in %v only", path, tag, folders)
				}
				return true
			})
		}
	})
	for tag, folders := range tagged {
		if hidden[tag] == 0 {
			t.Errorf("got no file with the tag %s, want some in %v", tag, folders)
		}
	}
}

// maxLines keeps every file readable at one sitting.
const maxLines = 400

func TestFilesAreShort(t *testing.T) {
	walkGo(t, func(path string, data []byte) {
		if got := bytes.Count(data, []byte("\n")); got > maxLines && !strings.HasSuffix(path, "_test.go") {
			t.Errorf("%s: got %d lines, want at most %d", path, got, maxLines)
		}
	})
}

// The widest lines, in characters; a tab counts four.
const (
	maxCode    = 120
	maxComment = 100
)

// TestLinesAreNarrow: lines of comments and of code fit beside another window. Raw strings, a
// test's long literals and an example's output have the width of what they show.
func TestLinesAreNarrow(t *testing.T) {
	walkGo(t, func(path string, data []byte) {
		exempt := literalLines(data, strings.HasSuffix(path, "_test.go"))
		for i, line := range strings.Split(string(data), "\n") {
			width, most := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")), maxCode
			if strings.HasPrefix(strings.TrimSpace(line), "//") {
				most = maxComment
			}
			if width > most && !exempt[i+1] {
				t.Errorf("%s:%d: got %d columns, want at most %d", path, i+1, width, most)
			}
		}
	})
}

// literalLines are the lines that a raw string lies on, or in a test any string, and those of
// examples' output.
func literalLines(src []byte, test bool) map[int]bool {
	lines, output := map[int]bool{}, false
	files := token.NewFileSet()
	file := files.AddFile("", -1, len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, scanner.ScanComments)
	for pos, tok, text := s.Scan(); tok != token.EOF; pos, tok, text = s.Scan() {
		output = tok == token.COMMENT && (output || strings.HasPrefix(text, "// Output:"))
		if output || tok == token.STRING && (test || text[0] == '`') {
			first := file.Line(pos)
			for i := range strings.Count(text, "\n") + 1 {
				lines[first+i] = true
			}
		}
	}
	return lines
}

// walkGo reads every file of Go. It walks the folders itself: so go test sees every new file, and
// does not serve this package's results from its cache when one appears.
func walkGo(t *testing.T, fn func(path string, data []byte)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (path == ".git" || path == "bin" || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil {
			fn(path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
