package sdk

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

// inMemory is the tests' model as a file system that is no folder.
func inMemory(t *testing.T) fs.FS {
	t.Helper()
	all := fstest.MapFS{}
	disk := os.DirFS(tinyModel(t))
	err := fs.WalkDir(disk, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(disk, path)
		all[path] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestModelFS: a model out of memory is the one in a folder; with it no folder is read.
func TestModelFS(t *testing.T) {
	inFolder := create(t, small(t))
	mustLearn(t, inFolder, "ann", examples(12, 0), forced())
	want := mustPredict(t, inFolder, "ann", "server down")
	if err := inFolder.Close(); err != nil {
		t.Fatal(err)
	}
	o := &Options{Model: "/nowhere", ModelFS: inMemory(t), Threads: 1}
	p := open(t, inFolder.dir, o)
	near(t, "out of memory", mustPredict(t, p, "ann", "server down"), want)

	c := small(t)
	c.Model, c.Options = "", &Options{ModelFS: inMemory(t), Threads: 1}
	made := create(t, c)
	mustLearn(t, made, "ann", examples(12, 0), forced())
	near(t, "made out of memory", mustPredict(t, made, "ann", "server down"), want)
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(context.Background(), made.dir, nil)
	wantError(t, "without a model", err, fs.ErrNotExist)
	open(t, made.dir, &Options{Model: tinyModel(t)})

	_, err = Create(context.Background(), filepath.Join(t.TempDir(), "store"),
		Config{Labels: labels, Options: &Options{ModelFS: fstest.MapFS{}}})
	wantError(t, "an empty file system", err, fs.ErrNotExist)
}
