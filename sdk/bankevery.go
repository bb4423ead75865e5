package sdk

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xpeft/xpeft/store"
)

// BankRun is how a TrainBank ended.
type BankRun struct {
	Time       time.Time `json:"time"`
	Background bool      `json:"background"` // Options.BankEvery began it
	Installed  bool      `json:"installed"`
	Gain       float64   `json:"gain"` // PopulationReport.Gain; 0 for adapters
	Reason     string    `json:"reason,omitempty"`
	Error      string    `json:"error,omitempty"` // it ended early
	Seconds    float64   `json:"seconds"`
}

func newBankRun(rep *BankReport, err error, background bool, took time.Duration) *BankRun {
	run := &BankRun{Time: time.Now(), Background: background, Seconds: took.Seconds()}
	if err != nil {
		run.Error = err.Error()
		return run
	}
	run.Installed, run.Reason = rep.Installed, rep.Reason
	if rep.Population != nil {
		run.Gain = rep.Population.Gain
	}
	return run
}

// banker runs TrainBank in the background when enough profiles have learned since the last one.
type banker struct {
	every   int // 0: never
	mu      sync.Mutex
	learned map[string]bool         // who has learned since the last TrainBank began, at most as many as are enough
	last    atomic.Pointer[BankRun] // how the last one ended; nil: there was none since Open
	ended   chan struct{}           // closed when the background goroutine ends; nil: there is none
	stop    context.CancelFunc
	over    bool
}

// note counts a profile that has learned.
func (b *banker) note(p *Folder, id string) {
	if b.every == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(id)
	if len(b.learned) >= b.every {
		b.begin(p, false)
	}
}

// add counts a profile. The caller holds mu.
func (b *banker) add(id string) {
	if b.learned == nil {
		b.learned = map[string]bool{}
	}
	if len(b.learned) < b.every {
		b.learned[id] = true
	}
}

func (b *banker) forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.learned, id)
}

// start counts who has learned since the last TrainBank, at Open.
func (b *banker) start(p *Folder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.every > 0 {
		b.begin(p, true)
	}
}

// begin makes the background goroutine, unless there is one. The caller holds mu.
func (b *banker) begin(p *Folder, look bool) {
	if b.over || b.ended != nil || p.axes == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop, b.ended = stop, make(chan struct{})
	go b.work(ctx, p, look)
}

func (b *banker) work(ctx context.Context, p *Folder, look bool) {
	if look {
		if err := b.look(ctx, p); err != nil && ctx.Err() == nil {
			p.options.Logger.Warn("looking for who has learned since the last bank failed", "error", err)
		}
	}
	for b.due() {
		digits, err := p.newcomersDigits()
		if err == nil && digits {
			_, err = p.trainAnyBank(ctx, p.options.BankOptions, true)
		}
		if err != nil || !digits {
			b.begun() // what failed would fail again, and who is at it now does what this one would
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrBusy) {
			p.options.Logger.Warn("background training of a bank failed", "error", err)
		}
	}
}

// due ends the background goroutine if there is nothing to do.
func (b *banker) due() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over && len(b.learned) >= b.every {
		return true
	}
	b.stop()
	close(b.ended)
	b.ended = nil
	return false
}

// look finds those who got a revision before Open.
func (b *banker) look(ctx context.Context, p *Folder) error {
	last, err := p.lastBank()
	if err != nil {
		return err
	}
	for rec, err := range p.store.Shuffled() {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if rec.Examples == 0 || !rec.Updated.After(last) {
			continue
		}
		b.mu.Lock()
		b.add(rec.ID)
		enough := len(b.learned) >= b.every
		b.mu.Unlock()
		if enough {
			return nil
		}
	}
	return nil
}

// begun says that a TrainBank takes those who have learned until now.
func (b *banker) begun() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.learned)
}

// told is a copy of last.
func (b *banker) told() *BankRun {
	last := b.last.Load()
	if last == nil {
		return nil
	}
	run := *last
	return &run
}

// idle is closed once no bank is trained in the background; nil: none is.
func (b *banker) idle() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

// close ends the background training within a fit or forward pass.
func (b *banker) close() {
	b.mu.Lock()
	b.over = true
	stop, ended := b.stop, b.ended
	b.mu.Unlock()
	if ended != nil {
		stop()
		<-ended
	}
}

// lastBank is when the last TrainBank began, zero if there was none.
func (p *Folder) lastBank() (t time.Time, err error) {
	data, err := p.store.GetMeta(metaTrained)
	if errors.Is(err, store.ErrNotFound) {
		return t, nil
	}
	if err == nil && len(data) == 8 {
		t = time.UnixMicro(int64(binary.LittleEndian.Uint64(data)))
	}
	return t, err
}
