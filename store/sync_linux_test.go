package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"
)

// TestAcknowledgedIsOnDisk asks the kernel, after each call that changes
// something, whether any page of the two files still waits to be written: a
// killed process cannot show an fsync that is missing, as its pages live on.
func TestAcknowledgedIsOnDisk(t *testing.T) {
	var bundle []byte
	for _, noSync := range []bool{true, false} { // the first shows that the question can be answered
		o := with(Options{NoSync: noSync}) // nobody writes beside us
		s, err := Create(filepath.Join(t.TempDir(), "xpeft.db"), testMeta, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.PutBank(ctx, testBank); err != nil {
			t.Fatal(err)
		}
		r, waits := newRand(t), 0
		for what, call := range map[string]func() error{
			"put": func() error { return second(s.Put(ctx, randomProfile(r, "ann"), Write{State: []byte("s")})) },
			"batch": func() error {
				return s.PutBatch(ctx,
					[]*Profile{randomProfile(r, "bob"), randomProfile(r, "eve")})
			},
			"observe": func() error { return s.AppendExamples(ctx, "zoe", []Example{{Text: "t"}}) },
			"delete":  func() error { return s.Delete(ctx, "tom") },
			"import": func() error {
				return second(s.Import(ctx, bytes.NewReader(bundle),
					ImportOptions{Policy: Overwrite}))
			},
			"head":  func() error { return second(first3(s.PutHead(ctx, []byte("head")))) },
			"value": func() error { return s.PutMeta(ctx, "k", []byte("v")) },
		} {
			for _, id := range []string{"zoe", "tom"} {
				if _, err := s.Put(ctx, randomProfile(r, id), Write{}); err != nil {
					t.Fatal(err)
				}
			}
			if bundle == nil {
				bundle = export(t, s, everything)
			}
			if err := call(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			dirty := dirtyPages(t, s.Path())
			if testKey != nil {
				dirty += dirtyPages(t, KeysPath(s.Path()))
			}
			if dirty > 0 {
				waits++
				if !noSync {
					t.Errorf("%s: %d pages wait to be written after it was acknowledged", what, dirty)
				}
			}
		}
		if noSync && waits == 0 {
			t.Skip("this file system does not say which pages wait to be written: skipping")
		}
		checkAndClose(t, s)
	}
}

func first3[A, B any](a A, _ B, err error) (A, error) { return a, err }

// dirtyPages asks cachestat(2), of Linux 6.5.
func dirtyPages(t *testing.T, path string) uint64 {
	t.Helper()
	const cachestat = 451 // on every architecture
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all [2]uint64 // offset and length: the whole file
	var got struct{ cached, dirty, writeback, evicted, recentlyEvicted uint64 }
	_, _, errno := syscall.Syscall6(cachestat, f.Fd(), uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&got)),
		0, 0, 0)
	if errno != 0 {
		if errors.Is(errno, syscall.ENOSYS) || errors.Is(errno, syscall.EPERM) || errors.Is(errno, syscall.EOPNOTSUPP) {
			t.Skipf("the kernel cannot say which pages wait to be written (%v): skipping", errno)
		}
		t.Fatal(errno)
	}
	return got.dirty + got.writeback
}
