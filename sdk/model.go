package sdk

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// Model is an open model that many folders share: a folder a tenant, and the weights, their packed
// copies, the tokenizer and the axes once in memory. OpenModel opens it; Options.Encoder gives it
// to Open and Create.
//
// It is safe for concurrent use. Of all its folders, ModelOptions.Workers forward passes run at
// once; each folder has its own queue, so texts of two folders share no pass, and folders whose
// passes wait take turns. Learning is each folder's own: Options.Threads and Options.Learns bound
// it there.
type Model struct {
	dir    string
	opened opened
	passes chan struct{} // holds a token for each pass that runs

	mu     sync.Mutex
	users  int // folders
	closed bool
	axes   map[store.Digest]*axes.Axes
}

// ModelOptions of OpenModel. Nil, and every zero field, means the default. Device, Kernel,
// Precision, FS and Logger are Options' fields of these names (FS is ModelFS).
type ModelOptions struct {
	Device    string
	Kernel    string
	Precision string
	FS        fs.FS // the model's files, instead of dir
	Workers   int   // forward passes at once, of all folders together; default that of Options.Workers
	Logger    *slog.Logger
}

// OpenModel opens the model in dir, a BERT checkpoint in Hugging Face's layout, once for many
// folders. It reads all weights for their checksums, which each Open compares with its folder's:
// ErrMismatch there if the folder was made with another model. Close it after its folders.
func OpenModel(ctx context.Context, dir string, o *ModelOptions) (*Model, error) {
	given := *cmp.Or(o, &ModelOptions{})
	opts, err := (&Options{Device: given.Device, Kernel: given.Kernel, Precision: given.Precision, ModelFS: given.FS,
		Workers: given.Workers, Logger: given.Logger}).withDefaults()
	if err != nil {
		return nil, err
	}
	if dir != "" {
		if dir, err = filepath.Abs(dir); err != nil {
			return nil, err
		}
	}
	m := &Model{dir: dir, axes: map[store.Digest]*axes.Axes{}}
	if m.opened, err = openModel(ctx, opts.model(dir), opts); err != nil {
		return nil, err
	}
	if m.opened.sums, err = m.opened.checkpoint.CRCs(); err != nil {
		m.opened.close()
		return nil, err
	}
	m.passes = make(chan struct{}, opts.on(m.opened.engine.Device()).Workers)
	m.opened.shared = m
	return m, nil
}

// Close frees the model. While a folder is open on it, Close does nothing and returns
// ErrModelInUse. It is idempotent; Open and Create with a closed model are ErrClosed.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return nil
	case m.users > 0:
		return fmt.Errorf("%w: %d", ErrModelInUse, m.users)
	}
	m.closed = true
	return m.opened.free()
}

// enter lends the model to one more folder, which gives it back by opened.close.
func (m *Model) enter() (opened, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return opened{}, fmt.Errorf("the model of Options.Encoder: %w", ErrClosed)
	}
	m.users++
	return m.opened, nil
}

func (m *Model) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users--
}

// axesOf reads the axes of a folder; they are the same memory in all folders that have them. Where
// one has read them, the file of another is compared by its digest alone.
func (m *Model) axesOf(dir string, info store.BankInfo) (*axes.Axes, error) {
	if m == nil {
		return folder.OpenAxes(dir, info)
	}
	m.mu.Lock()
	known := m.axes[info.Digest]
	m.mu.Unlock()
	if known != nil {
		return known, folder.CheckAxes(dir, info.Digest)
	}
	read, err := folder.OpenAxes(dir, info)
	if err != nil {
		return nil, err
	}
	return m.keepAxes(info.Digest, read), nil
}

// keepAxes returns the axes of the digest that all folders have: read, if there are none yet.
func (m *Model) keepAxes(d store.Digest, read *axes.Axes) *axes.Axes {
	if m == nil {
		return read
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.axes[d] == nil {
		m.axes[d] = read
	}
	return m.axes[d]
}

// forward is a folder's forward pass when it is the folder's turn.
func (m *Model) forward(pass func([]*ticket) error) func([]*ticket) error {
	if m == nil {
		return pass
	}
	return func(tickets []*ticket) error {
		m.passes <- struct{}{}
		defer func() { <-m.passes }()
		return pass(tickets)
	}
}
