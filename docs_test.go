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
	"unicode"
)

// documents are the pages for people, by their paths.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "research/*.md", "examples/*/*.md", "examples/*/*/*.md"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			texts[filepath.ToSlash(path)] = string(data)
		}
	}
	if len(texts) < 12 {
		t.Fatalf("got %d documents, want all of them", len(texts))
	}
	return texts
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// anchors are the names that GitHub gives to a page's headings.
func anchors(text string) (names []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, m[1]))
	}
	return names
}

// TestLinks: each link of a document that stays inside the repository leads to a file and, if it
// names one, to a heading.
func TestLinks(t *testing.T) {
	texts := documents(t)
	followed := 0
	for path, text := range texts {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			followed++
			file, anchor, _ := strings.Cut(m[1], "#")
			target := path
			if file != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(path), file))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: got a link to %s, want one to a file that is there", path, m[1])
			} else if anchor != "" && !slices.Contains(anchors(texts[target]), anchor) {
				t.Errorf("%s: got a link to %s, want one to a heading of %s", path, m[1], target)
			}
		}
	}
	if followed < 100 {
		t.Errorf("got %d links, want all of them", followed)
	}
}

var (
	pathOf = regexp.MustCompile("`([\\w./-]+)`(?: \\(((?:`\\w+`(?:, )?)+)\\))?")
	nameIn = regexp.MustCompile("`(\\w+)`")
)

// TestDecisionsOpenWhatIsThere: in the table that opens docs/decisions.md each file and folder
// exists, and declares the names beside it.
func TestDecisionsOpenWhatIsThere(t *testing.T) {
	opening, _, _ := strings.Cut(documents(t)["docs/decisions.md"], "\n## Gradients")
	rows := 0
	for line := range strings.Lines(opening) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| to change") {
			continue
		}
		rows++
		if !pathOf.MatchString(cells[2]) {
			t.Errorf("%s: got no file, want one to open", strings.TrimSpace(cells[1]))
		}
		for _, m := range pathOf.FindAllStringSubmatch(cells[2]+cells[3], -1) {
			checkDeclares(t, m[1], m[2])
		}
	}
	if rows < 20 {
		t.Errorf("got %d rows, want the table", rows)
	}
}

// checkDeclares fails if there is no such file or folder, or if it does not declare each of the
// quoted names.
func checkDeclares(t *testing.T, path, names string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Errorf("docs/decisions.md: got no %s, want it there", path)
		return
	}
	if names == "" {
		return
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = filepath.Glob(path + "/*.go"); err != nil {
			t.Fatal(err)
		}
	}
	var declared []string
	for _, file := range files {
		declared = append(declared, declaredIn(t, file)...)
	}
	for _, m := range nameIn.FindAllStringSubmatch(names, -1) {
		if !slices.Contains(declared, m[1]) {
			t.Errorf("docs/decisions.md: got no %s declared in %s, want it there", m[1], path)
		}
	}
}

// declaredIn are the functions, methods, types, variables and constants of a file.
func declaredIn(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			names = append(names, d.Name.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
				case *ast.ValueSpec:
					for _, name := range s.Names {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}
