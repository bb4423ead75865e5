package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xpeft/xpeft/internal/engine/torch/malloc"
)

// inside is what only the server's process itself knows of its memory.
type inside struct {
	Goroutines int         `json:"goroutines"`
	GoLive     int64       `json:"go_live"`   // bytes of Go's heap that are in use
	GoHeld     int64       `json:"go_held"`   // bytes of Go's that the system has not got back
	GoStacks   int64       `json:"go_stacks"` // of these, stacks
	Malloc     malloc.Info `json:"malloc"`
}

// serveInside answers with an inside; under /trim, after all that is free went back to the system.
func serveInside(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/trim" {
		debug.FreeOSMemory()
		malloc.Trim()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	json.NewEncoder(w).Encode(inside{runtime.NumGoroutine(), int64(m.HeapAlloc), int64(m.Sys - m.HeapReleased),
		int64(m.StackInuse), malloc.Read()})
}

// look asks serveInside.
func (c *child) look(path string) (in inside) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + c.inside + path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&in); err != nil {
		c.t.Fatal(err)
	}
	return in
}

// sample is a server at one moment. Sizes are in MiB.
type sample struct {
	Minutes    float64 // since the load began
	Requests   int64   // answered since then
	Anonymous  float64 // in memory, the process's own
	Files      float64 // in memory, of mapped files: pages that the system may take back at any time
	Shared     float64
	GoLive     float64
	GoHeld     float64
	MallocUsed float64
	MallocHeld float64 // used, or kept for later
	Arenas     int
	Threads    int
	FDs        int
	Goroutines int
	Cached     float64 // folded adapters, which have a budget of their own
	Profiles   int64
	Examples   int64
	Learns     int64
	FileSize   float64 // of xpeft.db
}

// own is the process's memory but for the cache, which has a budget of its own, and for mapped
// files, which the system takes back when it wants their pages: what must not grow.
func (s sample) own() float64 { return s.Anonymous - s.Cached }

const mib = 1 << 20

// sample measures; false where there is no /proc.
func (c *crowd) sample(server *child, path string) (s sample, ok bool) {
	in, st := server.look(path), c.stats()
	s = sample{Requests: c.answered.Load(), GoLive: float64(in.GoLive) / mib, GoHeld: float64(in.GoHeld) / mib,
		MallocUsed: float64(in.Malloc.Used()) / mib,
		MallocHeld: float64(in.Malloc.Held+in.Malloc.Mapped) / mib, Arenas: in.Malloc.Arenas, Goroutines: in.Goroutines,
		Cached: float64(st.Cache.Bytes) / mib, Profiles: st.Store.Profiles, Examples: st.Store.Examples,
		Learns: st.Learns, FileSize: float64(st.Store.FileBytes) / mib}
	proc := fmt.Sprintf("/proc/%d/", server.cmd.Process.Pid)
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		return s, false
	}
	number := func(name string) float64 {
		m := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+)`).FindSubmatch(status)
		if m == nil {
			ok = false
			return 0
		}
		n, _ := strconv.ParseFloat(string(m[1]), 64)
		return n
	}
	ok = true
	s.Anonymous, s.Files, s.Shared, s.Threads = number("RssAnon")/1024, number("RssFile")/1024,
		number("RssShmem")/1024, int(number("Threads"))
	fds, err := os.ReadDir(proc + "fd")
	s.FDs = len(fds)
	return s, ok && err == nil
}

// watch samples for so long: each minute, or a hundred times if that is more often.
func (c *crowd) watch(server *child, long time.Duration) (all []sample) {
	every, answered := min(time.Minute, long/100), c.answered.Load()
	for began := time.Now(); time.Since(began) < long; time.Sleep(every) {
		s, ok := c.sample(server, "")
		if !ok {
			c.t.Log("memory is not measured here")
			return nil
		}
		s.Minutes, s.Requests = time.Since(began).Minutes(), s.Requests-answered
		all = append(all, s)
		if path := os.Getenv("LOADCSV"); path != "" { // each time, so that there is something of a run that was cut off
			if err := writeSamples(path, all); err != nil {
				c.t.Error(err)
			}
		}
	}
	return all
}

const (
	// steepest is how much memory may grow in a minute, in MiB, once it has settled: nothing, but
	// what is left of noise.
	steepest = 1
	// slack is how much more a server may hold at rest after a run than before it, in MiB: arenas
	// of the threads that only a load wakes, what lies between blocks that are in use, and what the
	// largest training leaves of Go's heap until it is given back. 30 to 130 were seen.
	slack = 256
	// long enough is a run whose tenths each see a moment between two trainings, which take memory
	// while they run. The slope of a shorter one is printed, and says little.
	longEnough = 60
	// windows of the last two thirds of a run, of each of which the least counts.
	windows = 10
)

// slope is that of memory over the last two thirds, in MiB a minute. The least of each window
// counts: what a training takes it gives back, a leak it does not.
func slope(all []sample) float64 {
	late := all[len(all)/3:]
	var at, own []float64
	for w := range windows {
		window := late[w*len(late)/windows : (w+1)*len(late)/windows]
		if len(window) == 0 {
			continue
		}
		least := slices.MinFunc(window, func(a, b sample) int { return cmp.Compare(a.own(), b.own()) })
		at, own = append(at, least.Minutes), append(own, least.own())
	}
	if len(at) < 2 {
		return 0
	}
	return fit(at, own)
}

// verdict is what is wrong with the memory of a server that was at rest, then under load, and then
// at rest again; "" if nothing.
func verdict(before sample, load []sample, after sample) string {
	minutes := load[len(load)-1].Minutes
	if by := slope(load); by > steepest && minutes >= longEnough-1 {
		return fmt.Sprintf("memory grew by %.2f MiB a minute, want at most %d", by, steepest)
	}
	if by := after.own() - before.own(); by > slack && minutes < longEnough-1 {
		return fmt.Sprintf("memory at rest grew from %.0f MiB to %.0f in %.1f minutes, want at most %d more",
			before.own(), after.own(), minutes, slack)
	}
	return ""
}

// judge says what memory did, once the server is at rest again.
func (c *crowd) judge(before sample, load []sample, server *child) {
	after, ok := c.sample(server, "")
	if !ok || len(load) == 0 {
		return
	}
	trimmed, _ := c.sample(server, "/trim")
	if fault := verdict(before, load, after); fault != "" {
		c.fault("%s", fault)
	}
	last := load[len(load)-1]
	c.t.Logf("memory at rest: %.0f MiB before, %.0f after, %.0f trimmed; under load a slope of %+.2f MiB a minute "+
		"in the last two thirds of %.1f minutes", before.own(), after.own(), trimmed.own(), slope(load), last.Minutes)
	for _, s := range []sample{before, last, after, trimmed} {
		c.t.Logf("%+v", s)
	}
}

// writeSamples writes a line for each, under the names of the fields.
func writeSamples(path string, all []sample) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	kind := reflect.TypeFor[sample]()
	var names []string
	for i := range kind.NumField() {
		names = append(names, kind.Field(i).Name)
	}
	w.Write(names)
	for _, s := range all {
		var row []string
		for i := range names {
			format := "%v"
			if kind.Field(i).Type.Kind() == reflect.Float64 {
				format = "%.2f"
			}
			row = append(row, fmt.Sprintf(format, reflect.ValueOf(s).Field(i).Interface()))
		}
		w.Write(row)
	}
	w.Flush()
	return w.Error()
}

// fit is the slope of the least-squares line.
func fit(x, y []float64) float64 {
	var mx, my, xy, xx float64
	for i := range x {
		mx, my = mx+x[i]/float64(len(x)), my+y[i]/float64(len(x))
	}
	for i := range x {
		xy, xx = xy+(x[i]-mx)*(y[i]-my), xx+(x[i]-mx)*(x[i]-mx)
	}
	return xy / xx
}

// TestVerdict: a leak is seen, and what a training takes and gives back is no leak.
func TestVerdict(t *testing.T) {
	run := func(minutes, leak, training float64) (load []sample, after sample) {
		n := max(100, int(minutes))
		for i := range n {
			at := minutes * float64(i) / float64(n)
			s := sample{Minutes: at, Cached: 7 * at}
			s.Anonymous = 300 - 200*math.Exp(-at/minutes*20) + leak*at + 5*math.Sin(float64(i)*1.7) + s.Cached
			if i%4 != 0 && i > n/2 { // more of them later on
				s.Anonymous += training
			}
			load = append(load, s)
		}
		return load, sample{Anonymous: 300 + leak*minutes}
	}
	for _, c := range []struct {
		minutes, leak, training float64
		bad                     bool
	}{
		{120, 0, 0, false}, {120, 0.8, 0, false}, {120, 1.3, 0, true}, {120, 4, 140, true}, {120, 0, 140, false},
		{10, 0, 140, false}, {10, 5, 140, false}, {10, 40, 0, true}, {0.5, 100, 0, false}, {0.5, 0, 140, false},
		{0.5, 900, 0, true},
	} {
		load, after := run(c.minutes, c.leak, c.training)
		if fault := verdict(sample{Anonymous: 300}, load, after); (fault != "") != c.bad {
			t.Errorf("%+v: got a slope of %.2f and %q", c, slope(load), fault)
		}
	}
}

// TestSamplesAreWritten: a line for each sample under the names of its fields, among them those
// that are drawn.
func TestSamplesAreWritten(t *testing.T) {
	all := []sample{{Minutes: 0, Anonymous: 1.5, Arenas: 3}, {Minutes: 1, Anonymous: 2, Arenas: 4}}
	path := filepath.Join(t.TempDir(), "out", "memory.csv")
	if err := writeSamples(path, all); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	lines := strings.Split(string(data), "\n")
	if err != nil || len(lines) != 4 || !strings.HasPrefix(lines[0], "Minutes,Requests,Anonymous,") ||
		!strings.HasPrefix(lines[2], "1.00,0,2.00,") {
		t.Errorf("got %q (%v), want a title and two lines", data, err)
	}
	for _, name := range []string{"Minutes", "Requests", "Anonymous", "Cached", "MallocHeld", "MallocUsed", "GoHeld",
		"Files"} {
		if !slices.Contains(strings.Split(lines[0], ","), name) {
			t.Errorf("got the columns %s, want %s too, which xpeft-lab plot memory draws", lines[0], name)
		}
	}
}
