package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestCompactWaits has a reader that began before: it goes on with the old
// file, and Compact waits for it, but not longer than its context.
func TestCompactWaits(t *testing.T) {
	s := newStore(t, fast)
	secrets(t, s, 20)
	want := contents(t, s)
	began, end := make(chan struct{}), make(chan struct{})
	read := make(chan error)
	go func() {
		read <- s.view(func(t *txn) error {
			close(began)
			<-end
			for id := range want {
				if _, err := t.profile([]byte(id)); err != nil {
					return err
				}
			}
			return nil
		})
	}()
	<-began
	soon, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	report, err := s.Compact(soon)
	if err != nil || !report.Waiting {
		t.Errorf("got %+v, %v, want it to wait for the reader", report, err)
	}
	if testKey == nil { // else the reader that is there would look again
		for id := range want {
			if err := s.Delete(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(end)
	if err := <-read; err != nil {
		t.Errorf("the reader of the old file: %v", err)
	}
	if report, err := s.Compact(ctx); err != nil || report.Waiting {
		t.Errorf("got %+v, %v, want it not to wait", report, err)
	}
}

// TestWaitingWriterGivesUp says that a call whose context ends does not wait
// for a long transaction, or a Compact, of another's.
func TestWaitingWriterGivesUp(t *testing.T) {
	s := newStore(t, fast)
	r := newRand(t)
	s.writer.Lock()
	soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := s.Put(soon, randomProfile(r, "ann"), Write{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
	s.writer.Unlock()
	if _, err := s.Put(ctx, randomProfile(r, "bob"), Write{}); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, s); len(got) != 1 {
		t.Errorf("got %d profiles, want bob alone", len(got))
	}
}

// TestCompactBeforeAnother has another process wait for the file's lock while
// this one puts another file in its place.
func TestCompactBeforeAnother(t *testing.T) {
	for i := range 3 {
		s := newStore(t, fast)
		r := newRand(t)
		c := child(t, childWait, s.Path())
		out, err := c.StdoutPipe()
		if err := errors.Join(err, c.Start()); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 8)
		if _, err := out.Read(line); err != nil { // it opens the file now
			t.Fatal(err)
		}
		time.Sleep(120 * time.Millisecond)
		for range i + 1 {
			if _, err := s.Compact(ctx); err != nil {
				t.Fatal(err)
			}
			time.Sleep(150 * time.Millisecond) // it has the old file's lock for the asking
		}
		if _, err := s.Put(ctx, randomProfile(r, "after"), Write{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		said := new(bytes.Buffer)
		_, err = said.ReadFrom(out)
		if err := errors.Join(err, c.Wait()); err != nil || !strings.Contains(said.String(), "done <nil>") {
			t.Fatalf("got %q, %v, want the other process to see what is in the file", said, err)
		}
		if s, err = Open(s.Path(), fast); err != nil {
			t.Fatal(err)
		}
		if got := contents(t, s); len(got) != 2 {
			t.Errorf("got %d profiles, want mine and the other's", len(got))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// putWhenFree is the other process.
func putWhenFree(path string) error {
	fmt.Println("opening")
	s, err := Open(path, with(Options{NoSync: true, Timeout: 20 * time.Second}))
	if err != nil {
		return err
	}
	p, err := s.Get("after")
	if err == nil {
		p.ID = "theirs"
		_, err = s.Put(ctx, p, Write{})
	}
	fmt.Println("done", errors.Join(err, s.Close()))
	return nil
}
