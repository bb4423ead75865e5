package xpeft_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// operator is the reason of those who refuse as libtorch does: a *torch.Error, which the engine's
// boundary returns as an error.
const operator = "a *torch.Error: the engine returns it"

// lengths is the reason of those that compute on slices.
const lengths = "lengths and places that the caller made, as of a slice"

// panics lists every function of a library that may panic, with the reason. Bytes from outside
// reach none of them unchecked: what is added here must say so.
var panics = map[string]string{
	"internal/engine/torch/libtorch/grad.go Scope.Grad":       operator,
	"internal/engine/torch/libtorch/scope.go Scope.Keep":      operator,
	"internal/engine/torch/libtorch/scope.go Scope.check":     operator,
	"internal/engine/torch/libtorch/scope.go Scope.fail":      operator,
	"internal/engine/torch/libtorch/tensor.go Scope.Map":      operator,
	"internal/engine/torch/libtorch/tensor.go Scope.Values":   operator,
	"internal/engine/torch/libtorch/tensor.go Scope.fromData": operator,
	"internal/engine/torch/libtorch/views.go handles":         operator,

	"internal/engine/torch/libtorch/engine.go Engine.run": "hands on, in the caller's goroutine, a panic that is " +
		"no *torch.Error: a mistake in the closure",
	"internal/engine/torch/libtorch/fork.go Scope.Fork": "hands on a panic of a fork, as Engine.run does",

	"fleet/config.go a variable":               "a regular expression that is a constant",
	"internal/unigram/normalize.go a variable": "a regular expression that is a constant",
	"fleet/seal.go seal":                       "a key of another size than all that this package makes",

	"metrics/metrics.go send":      "a metric of a constant description and its own number of labels",
	"store/write.go Store.enqueue": "raises in the call's own goroutine what its callback panicked with in another's",
	"store/guard.go recovered":     "hands on a panic that is not of damaged pages",
	"store/guard.go callersCode":   "carries a panic of the caller's own callback past the guard",
	"bitmask/mask.go Mask.Row":     "an index out of range, as of a slice; blocks come from the mask itself",

	"internal/bert/forward.go Batch.check":      lengths,
	"internal/bert/forward.go Batch.checkIDs":   lengths,
	"internal/bert/forward.go Model.checkPart":  lengths,
	"internal/bert/forward.go Model.checkStems": lengths,
	"internal/bert/forward.go Model.checkTaps":  lengths,
	"internal/bert/forward.go Model.Embed":      lengths,
	"internal/bert/forward.go Model.Upper":      lengths,
	"internal/dense/dense.go check":             lengths,
	"internal/dense/dense.go same":              lengths,
	"internal/dense/gemm.go Gemm":               lengths,
	"internal/dense/mean.go mean":               lengths,
	"internal/dense/packed.go Pack":             lengths,
}

// TestPanicsAreKnown finds every call of panic, and every function of the standard library whose
// name says that it panics, in what users link.
func TestPanicsAreKnown(t *testing.T) {
	met := map[string]bool{}
	for _, p := range goList(t) {
		if !isLibrary(p.name()) || testsOnly[p.name()] {
			continue
		}
		for _, file := range append(p.GoFiles, p.CgoFiles...) {
			for where, line := range panicking(t, filepath.Join(p.Dir, file)) {
				where = p.name() + "/" + file + " " + where
				met[where] = true
				if panics[where] == "" {
					t.Errorf("%s, line %d: got a panic, want an error, or a reason in the table", where, line)
				}
			}
		}
	}
	for where := range panics {
		if !met[where] {
			t.Errorf("%s: got no panic there, want the row gone", where)
		}
	}
}

// testsOnly are packages that only test files import.
var testsOnly = map[string]bool{"internal/golden": true, "internal/engine/enginetest": true,
	"internal/engine/torch/malloc": true}

// panicking are the functions of a file that call panic, or regexp.MustCompile and its like; a
// method has its type before it.
func panicking(t *testing.T, path string) map[string]int {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, decl := range file.Decls {
		name := "a variable"
		if f, ok := decl.(*ast.FuncDecl); ok {
			name = funcName(f)
		}
		ast.Inspect(decl, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			id, ok := call.Fun.(*ast.Ident)
			sel, isSel := call.Fun.(*ast.SelectorExpr)
			if ok && id.Name == "panic" || isSel && strings.HasPrefix(sel.Sel.Name, "Must") {
				found[name] = set.Position(call.Pos()).Line
			}
			return true
		})
	}
	return found
}

func funcName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	return typ.(*ast.Ident).Name + "." + f.Name.Name
}
