package sdk

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

// tenantsOf says which folders a child process opens.
const tenantsOf = "XPEFT_TEST_TENANTS"

// TestModelTenantsMemory: 100 folders on one model, after a Predict in each, take little more than
// one. A process of its own measures each after a collection: what Go's collector leaves lying
// follows the calls that were made, not the folders that are open, so it has a limit of its own.
func TestModelTenantsMemory(t *testing.T) {
	if dirs := os.Getenv(tenantsOf); dirs != "" {
		measureTenants(t, strings.Split(dirs, ":"))
		return
	}
	dir := os.Getenv("XPEFT_MODEL")
	if dir == "" {
		t.Skip("no XPEFT_MODEL")
	}
	first := filepath.Join(t.TempDir(), "0")
	p, err := Create(context.Background(), first, Config{Model: dir, Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	mustLearn(t, p, "ann", examples(30, 0), &LearnOptions{Force: true})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	dirs := []string{first}
	for i := 1; i < 100; i++ {
		to := filepath.Join(filepath.Dir(first), strconv.Itoa(i))
		if err := os.CopyFS(to, os.DirFS(first)); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, to)
	}
	one, before := tenantsMemory(t, dirs[:1])
	all, after := tenantsMemory(t, dirs)
	each := (after - before) / 99
	t.Logf("one folder %.1f MB, 100 folders %.1f MB: %.3f times; %.3f MB allocated a folder", one, all, all/one, each)
	if all > 1.2*one {
		t.Errorf("got %.3f times the memory of one folder, want at most 1.2", all/one)
	}
	if each > 0.5 {
		t.Errorf("got %.3f MB allocated by Open and Predict of one more folder, want at most 0.5", each)
	}
}

// tenantsMemory is what a process with these folders has in memory, and what it allocated in Go's
// heap, both in MB.
func tenantsMemory(t *testing.T, dirs []string) (rss, allocated float64) {
	child := exec.Command(os.Args[0], "-test.run=^TestModelTenantsMemory$")
	child.Env = append(os.Environ(), tenantsOf+"="+strings.Join(dirs, ":"))
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, rest, ok := strings.Cut(string(out), "RSS ")
	if _, err := fmt.Sscanf(rest, "%f MB, allocated %f MB", &rss, &allocated); !ok || err != nil {
		t.Fatalf("got %q, %v", out, err)
	}
	return rss, allocated
}

func measureTenants(t *testing.T, dirs []string) {
	m := openModelOf(t, os.Getenv("XPEFT_MODEL"), nil)
	for _, dir := range dirs {
		p := open(t, dir, &Options{Encoder: m})
		if got := mustPredict(t, p, "ann", "the server is down"); got.Source != SourceProfile {
			t.Errorf("got %+v, want the profile's answer", got)
		}
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb := 0.0
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("RSS %.1f MB, allocated %.3f MB\n", kb/1024, float64(stats.TotalAlloc)/(1<<20))
}
