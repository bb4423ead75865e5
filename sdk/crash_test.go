package sdk

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xpeft/xpeft/store"
)

const (
	crashFolder   = "XPEFT_TEST_CRASH" // the child's
	crashWorkers  = 3
	crashProfiles = 4 // of each worker
)

// kept is what is stored of a profile; zero is none.
type kept struct {
	revision uint64
	examples int
	digest   string // of record, state and examples
}

// keptOf reads it.
func keptOf(p *Folder, id string) (k kept, err error) {
	rec, err := p.store.Get(id)
	if errors.Is(err, ErrProfileNotFound) {
		return kept{}, nil
	}
	if err != nil {
		return k, err
	}
	record, err := store.EncodeProfile(rec)
	state, serr := p.store.State(id)
	examples, eerr := p.store.Examples(id)
	sum := sha256.Sum256(fmt.Append(nil, record, state, examples))
	return kept{rec.Revision, len(examples), fmt.Sprintf("%x", sum[:8])}, errors.Join(err, serr, eerr)
}

func (k kept) String() string { return fmt.Sprintf("%d %d %s.", k.revision, k.examples, k.digest) }

// crashCall is one call of the child's on a profile; an import is of all
// profiles of the bundle, which nothing else changes.
type crashCall struct {
	kind   string
	worker int
	id     string
}

var bundled = []string{"bundle0", "bundle1"}

func (c crashCall) ids() []string {
	if c.kind == "import" {
		return bundled
	}
	return []string{c.id}
}

func (c crashCall) run(p *Folder, bundle []byte) (err error) {
	ctx := context.Background()
	switch c.kind {
	case "learn":
		_, err = p.Learn(ctx, c.id, examples(12, rand.IntN(3)), forced())
	case "observe":
		err = p.Observe(ctx, c.id, examples(1, rand.IntN(3))[0])
	case "forget":
		err = p.Forget(ctx, c.id)
	case "rollback":
		_, err = p.Rollback(ctx, c.id, nil)
	case "import":
		_, err = p.Import(ctx, bytes.NewReader(bundle), &ImportOptions{Policy: Overwrite})
	case "compact":
		_, err = p.Compact(ctx)
	}
	if errors.Is(err, ErrProfileNotFound) || errors.Is(err, ErrRevisionNotFound) {
		return nil
	}
	return err
}

// couldBe says whether the call, once begun, may have made b of a.
func (c crashCall) couldBe(a, b kept) bool {
	switch c.kind {
	case "learn": // what is stored already is not stored again
		return b.revision == a.revision+1 && b.examples >= max(a.examples, 12) && b.examples <= a.examples+12
	case "observe":
		// the text may be there already
		return b.revision-a.revision <= 1 && (b.examples == a.examples+1 || b.examples == a.examples)
	case "forget":
		return b == kept{}
	case "rollback":
		return b.revision == a.revision+1 && b.examples == a.examples
	case "compact":
		return false
	}
	return b.revision > a.revision
}

// fresh is how many of a profile's examples wait.
func fresh(p *Folder, id string) int {
	person, _ := p.store.Person(id) // nothing of who is not there
	return person.Waiting
}

// crashChild calls until it is killed.
func crashChild(t *testing.T, dir string) {
	bundle, err := os.ReadFile(dir + ".bundle")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Open(context.Background(), dir, &Options{Threads: 1, Learns: 2,
		OnLearned: func(id string, _ *Report, err error) { fmt.Println("unannounced", id, err) }})
	if err != nil {
		t.Fatal(err)
	}
	kinds := []string{"learn", "learn", "observe", "observe", "observe", "rollback", "forget", "import", "compact"}
	fmt.Println("begun")
	var workers sync.WaitGroup
	for w := range crashWorkers {
		workers.Add(1)
		go func() {
			defer workers.Done()
			// Where one more example could begin a learning in the background, which nobody would
			// have announced, there is no Observe.
			observed := map[string]int{}
			for {
				c := crashCall{kinds[rand.IntN(len(kinds))], w, fmt.Sprintf("worker%d-%d", w, rand.IntN(crashProfiles))}
				new, known := observed[c.id]
				if !known {
					new = fresh(p, c.id)
				}
				if c.kind == "import" && w > 0 || c.kind == "observe" && new >= leastObserved-1 {
					continue
				}
				fmt.Println("start", c.kind, c.worker, c.id)
				err := c.run(p, bundle)
				line := fmt.Sprint("done ", c.worker)
				for _, id := range c.ids() {
					k, kerr := keptOf(p, id)
					err = errors.Join(err, kerr)
					line += fmt.Sprint(" ", k)
				}
				if err != nil {
					fmt.Println("error", c, err)
					return
				}
				fmt.Println(line)
				switch c.kind {
				case "observe":
					observed[c.id] = new + 1
				case "forget":
					delete(observed, c.id)
				}
			}
		}()
	}
	workers.Wait()
}

// TestCrash kills a process that learns, observes, rolls back, forgets,
// imports and compacts, at random moments: what it had said was done is there, whole, what
// it had begun is there or not, and nothing else is. XPEFT_KILLS is ten times
// the number of kills.
func TestCrash(t *testing.T) {
	if dir := os.Getenv(crashFolder); dir != "" {
		crashChild(t, dir)
		return
	}
	kills, least := 0, 4
	if text := os.Getenv("XPEFT_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		least = max(1, n/10)
	}
	p := create(t, small(t))
	for _, id := range bundled {
		mustLearn(t, p, id, examples(12, 1), forced())
	}
	var bundle bytes.Buffer
	if _, err := p.Export(context.Background(), &bundle, nil); err != nil {
		t.Fatal(err)
	}
	writeFile(t, p.dir+".bundle", bundle.Bytes())
	c := sdkCrash{dir: p.dir, model: map[string]kept{}}
	for _, id := range bundled {
		c.model[id], _ = keptOf(p, id)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for ; kills < least || c.done < least && kills < 20*least; kills++ { // on a slow machine lives are short
		c.kill(t)
		if c.check(t); t.Failed() {
			t.Fatalf("at kill %d", kills+1)
		}
	}
	t.Logf("%d kills, %d calls acknowledged, %d in flight were stored and %d were not, %d stores checked", kills,
		c.done, c.landed, c.lost, kills)
	if c.done < least {
		t.Errorf("got %d calls in %d lives, want more", c.done, kills)
	}
}

type sdkCrash struct {
	dir    string
	model  map[string]kept
	flying map[int]crashCall

	done, landed, lost int
}

// kill lets a child live for a while and takes in what it says.
func (c *sdkCrash) kill(t *testing.T) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestCrash$")
	child.Env = append(os.Environ(), crashFolder+"="+c.dir)
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	c.flying = map[int]crashCall{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "begun" {
			time.AfterFunc(time.Duration(rand.IntN(600))*time.Millisecond, func() { _ = child.Process.Kill() })
		} else if err := c.hear(strings.Fields(lines.Text())); err != nil {
			t.Errorf("the child says %q: %v", lines.Text(), err)
		}
	}
	_ = child.Wait()
}

func (c *sdkCrash) hear(words []string) error {
	if len(words) < 3 {
		return errors.New("too short")
	}
	switch words[0] {
	case "start":
		worker, err := strconv.Atoi(words[2])
		c.flying[worker] = crashCall{words[1], worker, words[3]}
		return err
	case "done":
		worker, err := strconv.Atoi(words[1])
		call := c.flying[worker]
		if err != nil || len(words) != 2+3*len(call.ids()) {
			return fmt.Errorf("of %v: %v", call, err)
		}
		delete(c.flying, worker)
		c.done++
		for i, id := range call.ids() {
			var k kept
			text := strings.TrimSuffix(strings.Join(words[2+3*i:5+3*i], " "), ".")
			_, _ = fmt.Sscan(text, &k.revision, &k.examples, &k.digest) // without a digest: none is stored
			if was := c.model[id]; k != was && !call.couldBe(was, k) {
				return fmt.Errorf("%s was %v", id, was)
			}
			c.model[id] = k
		}
		return nil
	}
	return errors.New("want start or done")
}

// check opens the folder and compares it with the model.
func (c *sdkCrash) check(t *testing.T) {
	t.Helper()
	p := open(t, c.dir, &Options{Threads: 1})
	defer closeClean(t, p) // which checks it deep
	for _, call := range c.flying {
		landed := 0
		for _, id := range call.ids() {
			now, err := keptOf(p, id)
			if err != nil {
				t.Error(err)
			}
			if was := c.model[id]; now != was {
				if landed++; !call.couldBe(was, now) {
					t.Errorf("%v in flight: got %v, was %v", call, now, was)
				}
				c.model[id] = now
			}
		}
		switch landed {
		case 0:
			c.lost++
		case len(call.ids()):
			c.landed++
		default:
			t.Errorf("%v in flight: half of it is stored", call)
		}
	}
	there := 0
	for id, want := range c.model {
		if got, err := keptOf(p, id); got != want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", id, got, err, want)
		}
		if want.revision == 0 {
			continue
		}
		there++
		if out := mustPredict(t, p, id, "server down"); out.Revision != want.revision {
			t.Errorf("%s: got an answer of revision %d, want %d", id, out.Revision, want.revision)
		}
	}
	if n, err := p.store.Count(); n != there || err != nil {
		t.Errorf("got %d profiles, %v, want %d", n, err, there)
	}
	for _, left := range []string{"*.new", "*.compact"} {
		if files, err := filepath.Glob(filepath.Join(c.dir, left)); err != nil || len(files) > 0 {
			t.Errorf("got left files %v, %v", files, err)
		}
	}
}
