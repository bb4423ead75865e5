package fleet

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// measured is how many keys are measured; without XPEFT_FLEET_KEYS none are.
func measured(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("XPEFT_FLEET_KEYS"))
	if err != nil {
		t.Skip("XPEFT_FLEET_KEYS says how many: make fleet-measure")
	}
	return n
}

// resident is the resident memory of a process, in bytes.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Skip(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(data))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func diskOf(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// TestMeasureKeys prints what one server keeps of a profile, in memory and on disk: a value of
// 6,000 bytes, which is a person of 20 examples, and a key.
func TestMeasureKeys(t *testing.T) {
	n := measured(t)
	port, dir := freePorts(t, 1), t.TempDir()
	s := newChild(t, "server", serverArg{Name: "s0", Dir: dir, Port: port[0]})
	var nc *nats.Conn
	within(t, patience, "server", func() (up bool) {
		var err error
		nc, err = nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", port[0]))
		return err == nil
	})
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1024),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) {
			t.Errorf("%s: %v", m.Subject, err)
		}))
	if err != nil {
		t.Fatal(err)
	}
	st := streams{fleet: "xpeft", nc: nc, js: js}
	l, _ := Layout{Replicas: 1}.withDefaults()
	within(t, patience, "streams", func() bool { return st.make(t.Context(), l) == nil })
	secrets := testSecrets(t)
	before, began := resident(t, s.cmd.Process.Pid), time.Now()
	data := make([]byte, 6000)
	rand.Read(data)
	for i := range n {
		name := secrets.nameOf(strconv.Itoa(i))
		pair := map[string][]byte{st.valueSubject(0, personKey+name): data, st.keySubject(0, name): data[:72]}
		for subject, payload := range pair {
			if _, err := js.PublishAsync(subject, payload, jetstream.WithStallWait(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
	}
	<-js.PublishAsyncComplete()
	took := time.Since(began)
	time.Sleep(3 * time.Second)
	after := resident(t, s.cmd.Process.Pid)
	info, err := js.Stream(t.Context(), st.valuesStream(0))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.CachedInfo().State.Msgs; got != uint64(n) {
		t.Fatalf("got %d values, want %d", got, n)
	}
	t.Logf("%d profiles, a value and a key each, in %v: %.0f bytes of memory and %.0f bytes of disk a profile", n,
		took.Round(time.Millisecond), float64(after-before)/float64(n), float64(diskOf(t, dir))/float64(n))
}

// TestMeasureSync prints what a replicated write takes, one after another, with servers that sync
// their disks every two minutes and with such that sync before they acknowledge, in turn.
func TestMeasureSync(t *testing.T) {
	measured(t)
	var writers [2]func() time.Duration
	for i, always := range []bool{false, true} {
		c := newCluster(t, func(o *server.Options) { o.SyncAlways = always })
		nc, err := nats.Connect(c.urls())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		st := streams{fleet: "xpeft", nc: nc, js: js}
		l, _ := Layout{}.withDefaults()
		within(t, patience, "streams", func() bool { return st.make(t.Context(), l) == nil })
		data, n := make([]byte, 6000), 0
		writers[i] = func() time.Duration {
			n++
			began := time.Now()
			if _, err := js.Publish(t.Context(), st.valueSubject(0, personKey+strconv.Itoa(n)), data); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		}
	}
	var took [2][]time.Duration
	for range 300 {
		for i, write := range writers {
			took[i] = append(took[i], write())
		}
	}
	for i, name := range []string{"every two minutes", "always"} {
		slices.Sort(took[i])
		t.Logf("sync %s: p50 %v, p99 %v of %d writes of 6,000 bytes to three servers", name, took[i][len(took[i])/2],
			took[i][len(took[i])*99/100], len(took[i]))
	}
}
