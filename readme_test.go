package xpeft_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestREADME: it is short, and its program compiles, in a main with the imports that it needs.
func TestREADME(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines > 120 {
		t.Errorf("got a README of %d lines, want at most 120", lines)
	}
	m := regexp.MustCompile("(?s)```go\n(.*?)```").FindSubmatch(text)
	if m == nil {
		t.Fatal("README.md has no go block")
	}
	compiles(t, "the README's program", string(m[1]), "errors", "fmt", "io/fs", "log", "os")
}

// TestSDKDoc: so does the program of package sdk's documentation.
func TestSDKDoc(t *testing.T) {
	text, err := os.ReadFile("sdk/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var body strings.Builder
	for line := range strings.Lines(string(text)) {
		if code, ok := strings.CutPrefix(line, "//\t"); ok {
			body.WriteString(code)
		}
	}
	if body.Len() == 0 {
		t.Fatal("sdk/doc.go has no program")
	}
	compiles(t, "the program of sdk/doc.go", "modelDir, examples := os.Getenv(\"XPEFT_MODEL\"), []sdk.Example{}\n"+
		body.String()+"if err != nil {\n\tlog.Fatal(err)\n}\n", "fmt", "log", "os")
}

// compiles builds the body of a main that has a ctx and these imports.
func compiles(t *testing.T, what, body string, imports ...string) {
	t.Helper()
	program := "package main\n\n"
	for _, path := range append(imports, "context", module+"/sdk") {
		program += fmt.Sprintf("import %q\n", path)
	}
	program += "\nfunc main() {\nctx := context.Background()\n" + body + "}\n"
	// in the module, so that its import resolves; the name keeps it out of ./...
	dir, err := os.MkdirTemp(".", "_readme-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "build", "-o", os.DevNull, "./"+filepath.Base(dir)).CombinedOutput()
	if err != nil {
		t.Errorf("%s does not compile: %v\n%s", what, err, strings.TrimSpace(string(out)))
	}
}
