package main

import (
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
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xpeft/xpeft/internal/malloc"
	"github.com/xpeft/xpeft/internal/plot"
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
	json.NewEncoder(w).Encode(inside{runtime.NumGoroutine(), int64(m.HeapAlloc), int64(m.Sys - m.HeapReleased), int64(m.StackInuse), malloc.Read()})
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
	Tensors    int64
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
	s = sample{Requests: c.answered.Load(), GoLive: float64(in.GoLive) / mib, GoHeld: float64(in.GoHeld) / mib, MallocUsed: float64(in.Malloc.Used()) / mib,
		MallocHeld: float64(in.Malloc.Held+in.Malloc.Mapped) / mib, Arenas: in.Malloc.Arenas, Goroutines: in.Goroutines, Tensors: st.Tensors,
		Cached: float64(st.Cache.Bytes) / mib, Profiles: st.Store.Profiles, Examples: st.Store.Examples, Learns: st.Learns, FileSize: float64(st.Store.FileBytes) / mib}
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
	s.Anonymous, s.Files, s.Shared, s.Threads = number("RssAnon")/1024, number("RssFile")/1024, number("RssShmem")/1024, int(number("Threads"))
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
	// what allocators and a sample at a chance moment of a training make of it.
	steepest = 1
	// noise is what a training that is under way takes, in MiB: so much may the ends of a short run
	// differ by. From 72 minutes on, steepest allows more.
	noise = 48
	// settled is how long a run must be to be judged: a shorter one is over before allocators,
	// buffers and the bank's rows come to their size.
	settled = 3 * time.Minute
)

// verdict is the slope of memory over the last two thirds in MiB a minute, and what is wrong with it.
func verdict(all []sample) (slope float64, fault string) {
	late := all[len(all)/3:]
	if len(late) < 2 {
		return 0, ""
	}
	var at, own []float64
	for _, s := range late {
		at, own = append(at, s.Minutes), append(own, s.own())
	}
	slope = fit(at, own)
	minutes := at[len(at)-1] - at[0]
	allowed := max(steepest, noise/minutes)
	if slope > allowed && at[len(at)-1] > settled.Minutes()-1 {
		fault = fmt.Sprintf("memory grew by %.2f MiB a minute for %.0f minutes, from %.0f MiB, want at most %.2f", slope, minutes, own[0], allowed)
	}
	return slope, fault
}

// judge says what memory did under load, and what it is afterwards.
func (c *crowd) judge(all []sample, server *child) {
	if len(all) < 3 {
		return
	}
	slope, fault := verdict(all)
	if fault != "" {
		c.fault("%s", fault)
	}
	first, last := all[0], all[len(all)-1]
	c.t.Logf("memory: %.0f to %.0f MiB in %.1f minutes and %d requests, slope %+.2f MiB a minute in the last two thirds", first.own(), last.own(), last.Minutes, last.Requests, slope)
	c.t.Logf("first: %+v", first)
	c.t.Logf("last: %+v", last)
	for _, path := range []string{"", "/trim"} {
		if s, ok := c.sample(server, path); ok {
			c.t.Logf("at rest %s: %+v", path, s)
		}
	}
	if path := os.Getenv("LOADPLOT"); path != "" {
		if err := draw(path, all); err != nil {
			c.t.Error(err)
		}
	}
}

// draw plots what the process holds, and of what kind it is.
func draw(path string, all []sample) error {
	var lines []plot.Line
	for _, l := range []struct {
		name string
		of   func(sample) float64
	}{
		{"the process's own, without the cache", sample.own},
		{"the C library's, with what it keeps for later", func(s sample) float64 { return s.MallocHeld }},
		{"of that in use", func(s sample) float64 { return s.MallocUsed }},
		{"Go's", func(s sample) float64 { return s.GoHeld }},
		{"mapped files", func(s sample) float64 { return s.Files }},
	} {
		line := plot.Line{Name: l.name}
		for _, s := range all {
			line.X, line.Y = append(line.X, s.Minutes), append(line.Y, l.of(s))
		}
		lines = append(lines, line)
	}
	last := all[len(all)-1]
	title := fmt.Sprintf("Memory of the chatbot under %d clients, %d requests", clients, last.Requests)
	pic, err := plot.Course(title, "minutes", "MiB", lines)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return pic.Save(path)
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

// TestVerdict: a leak is seen in a long run, and noise is no leak.
func TestVerdict(t *testing.T) {
	run := func(minutes, slope, swing float64) (all []sample) {
		n := max(100, int(minutes))
		for i := range n {
			at := minutes * float64(i) / float64(n)
			start := 200 * math.Exp(-at/minutes*20) // before it has settled
			all = append(all, sample{Minutes: at, Anonymous: 400 - start + slope*at + swing*math.Sin(float64(i)*1.7) + 7*at, Cached: 7 * at})
		}
		return all
	}
	for _, c := range []struct {
		minutes, slope, swing float64
		bad                   bool
	}{
		{120, 0, 40, false}, {120, 0.8, 30, false}, {120, 1.3, 30, true}, {120, 1.3, 0, true}, {120, -3, 0, false}, {30, 0, 40, false}, {30, 3, 0, true}, {10, 0, 30, false},
		{10, 9, 0, true}, {0.5, 300, 0, false}, {0.5, 0, 40, false},
	} {
		slope, fault := verdict(run(c.minutes, c.slope, c.swing))
		if (fault != "") != c.bad {
			t.Errorf("%+v: got a slope of %.2f and %q", c, slope, fault)
		}
	}
	if _, fault := verdict(nil); fault != "" {
		t.Errorf("nothing: got %q", fault)
	}
}

// TestSamplesAreWritten: a line for each sample under the names of its fields, and a picture.
func TestSamplesAreWritten(t *testing.T) {
	all := []sample{{Minutes: 0, Anonymous: 1.5, Arenas: 3}, {Minutes: 1, Anonymous: 2, Arenas: 4}}
	path := filepath.Join(t.TempDir(), "out", "memory.csv")
	if err := writeSamples(path, all); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	lines := strings.Split(string(data), "\n")
	if err != nil || len(lines) != 4 || !strings.HasPrefix(lines[0], "Minutes,Requests,Anonymous,") || !strings.HasPrefix(lines[2], "1.00,0,2.00,") {
		t.Errorf("got %q (%v), want a title and two lines", data, err)
	}
	if err := draw(filepath.Join(filepath.Dir(path), "memory.png"), all); err != nil {
		t.Error(err)
	}
}
