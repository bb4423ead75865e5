package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// docs/cli.md is a promise to scripts: these tests keep it and the program the same.

// sections of docs/cli.md by their headings.
func sections(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(repository(), "docs", "cli.md"))
	must(t, err)
	all := map[string]string{}
	for _, part := range strings.Split("\n"+string(data), "\n## ")[1:] {
		heading, body, _ := strings.Cut(part, "\n")
		all[heading] = body
	}
	return all
}

// tableRow matches a row that starts with a name in backquotes.
var tableRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\|")

func table2(section string) (rows []string) {
	for _, m := range tableRow.FindAllStringSubmatch(section, -1) {
		rows = append(rows, m[1]+": "+m[2])
	}
	return rows
}

// described are the fields of a struct's JSON, with those of the structs in it, and their types in
// words.
func described(t reflect.Type, prefix string) (rows []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			rows = append(rows, described(f.Type, prefix)...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		of, word := f.Type, typeWord(f.Type)
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if options == "omitempty" || options == "omitzero" {
			word = strings.TrimSuffix(word, " or null") + ", or absent"
		}
		rows = append(rows, prefix+name+": "+word)
		list := ""
		if of.Kind() == reflect.Slice {
			of, list = of.Elem(), "[]"
		}
		if of.Kind() == reflect.Struct && of != reflect.TypeFor[time.Time]() {
			rows = append(rows, described(of, prefix+name+list+".")...)
		}
	}
	return rows
}

func typeWord(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time"
	case t.Kind() == reflect.Pointer:
		return typeWord(t.Elem()) + " or null"
	case t == reflect.TypeFor[[]byte]():
		return "string" // base64
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Slice:
		return "list of " + strings.Replace(typeWord(t.Elem()), "list", "lists", 1)
	case t.Kind() == reflect.Slice:
		return "list of " + typeWord(t.Elem()) + "s"
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Struct, reflect.Map:
		return "object"
	}
	return "number"
}

func TestDocumentedFields(t *testing.T) {
	documented := sections(t)
	for heading, row := range map[string]any{
		"Errors": errorRow{}, "xpeft init": created{}, "xpeft learn": sdk.Report{}, "xpeft predict": predicted{},
		"xpeft export": exported{}, "xpeft import": imported{}, "xpeft key new": keyShown{},
		"xpeft profiles": profileRow{}, "xpeft show": shown{}, "xpeft forget": forgotten{},
		"xpeft examples list": storedExample{}, "xpeft examples forget": forgottenExample{},
		"xpeft examples expire": expired{}, "xpeft person": sdk.PersonData{}, "xpeft private": kept{},
		"xpeft observe": waitingRow{}, "xpeft labels pending": sdk.PendingLabel{}, "xpeft check": checked{},
		"xpeft compact": compacted{}, "xpeft backup": backedUp{}, "xpeft restore": store.RestoreReport{},
		"xpeft verify": store.RestoreReport{}, "xpeft repair": repairedRow{}, "xpeft stats": statsRow{},
		"xpeft head train": headTrained{}, "xpeft head rank": sdk.RankReport{}, "xpeft head export": headCopied{}, "xpeft head import": headCopied{},
		"xpeft bank list": bankRow{}, "xpeft bank train": bankTrained{}, "xpeft bank advise": advised{},
		"xpeft ask": askedRow{}, "xpeft rank": rankedRow{}, "xpeft embed": embeddedRow{},
		"xpeft rollback": rolledBack{}, "xpeft bank export": copied{},
		"xpeft version": version{}, "xpeft model check": checkedModel{}, "xpeft move": sdk.MovedProfile{},
		"xpeft serve": servingRow{}, "xpeft token": tokenMade{},
	} {
		want := described(reflect.TypeOf(row), "")
		if heading == "xpeft show" { // those of profiles are documented there
			want = want[len(described(reflect.TypeFor[profileRow](), "")):]
		}
		if diff := cmp.Diff(want, table2(documented[heading])); diff != "" {
			t.Errorf("docs/cli.md, %q: fields (-program +docs):\n%s", heading, diff)
		}
	}
}

func TestDocumentedExitCodes(t *testing.T) {
	var want []string
	for code := exitError; code <= exitKey; code++ {
		want = append(want, fmt.Sprintf("%d: %s", code, names[code]))
	}
	want = append(want, "130: "+codeName(130), "143: "+codeName(143))
	if diff := cmp.Diff(want, table2(sections(t)["Exit codes"])); diff != "" {
		t.Errorf("docs/cli.md: exit codes (-program +docs):\n%s", diff)
	}
}

// TestDocumentedFlags: the flags of each command stand in its section as --help prints them.
func TestDocumentedFlags(t *testing.T) {
	documented := sections(t)
	root := (&app{}).root()
	check := func(heading, usages string) {
		for _, usage := range strings.Split(usages, "\n") {
			if !strings.Contains(usage, "--help") && !strings.Contains(documented[heading], usage) {
				t.Errorf("docs/cli.md, %q: the flag is not there: %s", heading, usage)
			}
		}
	}
	check("Every command", root.PersistentFlags().FlagUsages())
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		if cmd.HasSubCommands() {
			for _, sub := range cmd.Commands() {
				walk(sub)
			}
			return
		}
		if _, ok := documented[cmd.CommandPath()]; !ok {
			t.Errorf("docs/cli.md: no section %q", cmd.CommandPath())
		}
		check(cmd.CommandPath(), cmd.LocalNonPersistentFlags().FlagUsages())
	}
	for _, cmd := range root.Commands() {
		walk(cmd)
	}
}

// TestHelpIsTheSameEverywhere: no variable of the shell shows in it.
func TestHelpIsTheSameEverywhere(t *testing.T) {
	help := func() string {
		var out strings.Builder
		for _, name := range []string{"init", "learn"} {
			if code := run(context.Background(), []string{name, "--help"}, strings.NewReader(""), &out,
				io.Discard); code != exitOK {
				t.Fatalf("%s --help: exit code %d, want 0", name, code)
			}
		}
		return out.String()
	}
	t.Setenv("XPEFT_DIR", "")
	t.Setenv("XPEFT_MODEL", "")
	before := help()
	t.Setenv("XPEFT_DIR", "/elsewhere")
	t.Setenv("XPEFT_MODEL", "/elsewhere")
	if diff := cmp.Diff(before, help()); diff != "" {
		t.Errorf("help (-without +with variables):\n%s", diff)
	}
}

// TestMovedCommands: those of research say where they are, whatever their flags, and stay out of
// the help.
func TestMovedCommands(t *testing.T) {
	for _, name := range []string{"eval", "plot"} {
		var stdout, stderr strings.Builder
		code := run(t.Context(), []string{name, "report", "out", "--reference", "prior"}, nil, &stdout, &stderr)
		if want := "xpeft: xpeft " + name + " is xpeft-lab " + name + " now"; code != exitUsage ||
			!strings.HasPrefix(stderr.String(), want) {
			t.Errorf("got exit code %d and %q, want %d and %q", code, stderr.String(), exitUsage, want)
		}
		if code := run(t.Context(), []string{"--help"}, nil, &stdout, &stderr); code != exitOK ||
			strings.Contains(stdout.String(), "xpeft-lab") {
			t.Errorf("got exit code %d and the help %s, want no %s in it", code, stdout.String(), name)
		}
	}
}
