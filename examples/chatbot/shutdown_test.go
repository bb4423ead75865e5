package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

// TestShutdownLosesNothing: whatever reached a handler is answered, also after the signal, and what
// a Learn acknowledged is there after a restart.
func TestShutdownLosesNothing(t *testing.T) {
	dir := t.TempDir()
	p := open(t, dir)
	var reached atomic.Int64
	b := start(t, p, &reached)
	u := &users{t: t, backend: b, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	if !u.learn("user-0", 0) {
		t.Fatal("user-0 cannot learn")
	}
	var clients sync.WaitGroup
	for i := range 16 {
		clients.Add(1)
		go func() {
			defer clients.Done()
			u.playUntilRefused(i)
		}()
	}
	for began := time.Now(); u.learns.Load() < 3 && time.Since(began) < 30*time.Second; {
		time.Sleep(5 * time.Millisecond)
	}
	b.stop()
	if err := <-b.done; err != nil {
		t.Errorf("serve: %v", err)
	}
	clients.Wait()
	if got, want := u.answered.Load(), reached.Load(); got != want {
		t.Errorf("got %d answers to %d requests", got, want)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests answered, %d of them Learns", u.answered.Load(), u.learns.Load())
	u.checkAfterRestart(dir)
}

// users send requests, each on a connection of its own: an idle one may be closed under a request
// that has not reached the server yet.
type users struct {
	t                *testing.T
	backend          *backend
	client           *http.Client
	answered, learns atomic.Int64
	revisions        sync.Map // id → the last revision that a Learn reported
}

func (u *users) playUntilRefused(i int) {
	for round := 0; ; round++ {
		if i < 4 {
			if !u.learn(fmt.Sprintf("user-%d", i), round) {
				return
			}
			continue
		}
		code, err := u.backend.call(u.client, "POST", "/v1/profiles/user-0/predict", asked{Text: texts[round%3]}, nil)
		if err != nil {
			return
		}
		u.answered.Add(1)
		if code != http.StatusOK {
			u.t.Errorf("predict: got %d, want 200 until the end", code)
		}
	}
}

// learn is false if the server took no connection.
func (u *users) learn(id string, seed int) bool {
	var rep sdk.Report
	code, err := u.backend.call(u.client, "POST", "/v1/profiles/"+id+"/learn", lesson(seed), &rep)
	if err != nil {
		return false
	}
	u.answered.Add(1)
	if code != http.StatusOK || !rep.Installed {
		u.t.Errorf("learn: got %d, %+v, want an installed revision until the end", code, rep)
	}
	u.learns.Add(1)
	u.revisions.Store(id, rep.Revision)
	return true
}

func (u *users) checkAfterRestart(dir string) {
	p := open(u.t, dir)
	u.revisions.Range(func(id, revision any) bool {
		info, err := p.Profile(context.Background(), id.(string))
		if err != nil || info.Revision != revision.(uint64) {
			u.t.Errorf("%s after the restart: got revision %d, %v, want %d", id, info.Revision, err, revision)
		}
		return true
	})
}
