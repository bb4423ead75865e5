package xpeft_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The tests of cmd/xpeft keep docs/cli.md and the program the same. So a command that another
// document shows is right if it is in docs/cli.md.

var (
	// typed is an indented line with a command at its beginning or behind a pipe.
	typed  = regexp.MustCompile(`(?m)^    (?:\$ )?(?:[^|\n]*\| )?(?:bin/)?(xpeft [a-z].*)$`)
	quoted = regexp.MustCompile("`(xpeft [a-z][^`\n]*)`")
	target = regexp.MustCompile("(?m)(?:`|^    (?:\\$ )?)make ([a-z][a-z0-9-]*)")
	pathIn = regexp.MustCompile(`(?:^|[^\w/.-])((?:examples|scripts)/[\w./-]*\w)`)
	word   = regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`)
)

// TestCommandsOfDocuments: each command of xpeft in a document is in docs/cli.md, and so is each of
// its flags.
func TestCommandsOfDocuments(t *testing.T) {
	texts := documents(t)
	sections := map[string]string{}
	for _, part := range strings.Split(texts["docs/cli.md"], "\n## ")[1:] {
		name, body, _ := strings.Cut(part, "\n")
		sections[name] = body
	}
	commands := map[string]int{}
	for path, text := range texts {
		if path == "CHANGELOG.md" || path == "docs/format.md" || path == "docs/cli.md" {
			continue // what was true then; magic strings; tested in its package
		}
		for _, m := range append(typed.FindAllStringSubmatch(text, -1), quoted.FindAllStringSubmatch(text, -1)...) {
			commands[path]++
			checkCommand(t, path, m[1], sections)
		}
	}
	if commands["docs/tour.md"] < 40 || commands["docs/operations.md"] < 5 {
		t.Errorf("got these numbers of commands, want all of them: %v", commands)
	}
}

// checkCommand fails if docs/cli.md has no section of the command, or the section no such flag.
func checkCommand(t *testing.T, path, line string, sections map[string]string) {
	t.Helper()
	words := word.FindAllString(line, -1)
	name := words[0] + " " + words[1]
	if _, ok := sections[name]; !ok && len(words) > 2 { // of a group, as bank train
		name += " " + words[2]
	}
	if !hasCommand(sections, name) {
		t.Errorf("%s: got the command %q, want one of docs/cli.md", path, line)
	}
	for _, w := range words {
		if flag := flagOf.FindString(w); flag != "" && !hasFlag(sections[name]+sections["Every command"], flag) {
			t.Errorf("%s: got %s in %q, want a flag of %s", path, flag, line, name)
		}
	}
}

// hasCommand is whether there is a section of the command, or of one of its group.
func hasCommand(sections map[string]string, name string) bool {
	for heading := range sections {
		if heading == name || strings.HasPrefix(heading, name+" ") {
			return true
		}
	}
	return false
}

var flagOf = regexp.MustCompile(`^--?[a-z][a-z-]*`)

// hasFlag is whether a section lists the flag, as --help prints it: "  -p, --profile string".
func hasFlag(section, flag string) bool {
	return regexp.MustCompile(`(?m)^  (` + flag + `, | *(-\w, )?` + flag + ` )`).MatchString(section)
}

// TestTargetsOfDocuments: each `make` target that a document names is in the Makefile.
func TestTargetsOfDocuments(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range documents(t) {
		if path == "CHANGELOG.md" {
			continue
		}
		for _, m := range target.FindAllStringSubmatch(text, -1) {
			if !regexp.MustCompile(`(?m)^` + m[1] + `:`).Match(makefile) {
				t.Errorf("%s: got make %s, want a target of the Makefile", path, m[1])
			}
		}
	}
}

// TestFilesOfDocuments: each path under examples or scripts that a document names is there.
func TestFilesOfDocuments(t *testing.T) {
	for path, text := range documents(t) {
		if path == "CHANGELOG.md" {
			continue
		}
		for _, m := range pathIn.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(m[1]); err != nil {
				t.Errorf("%s: got %s, want a path that is there", path, m[1])
			}
		}
	}
}
