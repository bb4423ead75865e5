package folder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/store"
)

// Stored is the open file of a bank that has one: of adapters, a [bank.File], or of axes, a
// [bank.AxesFile] or a [bank.JointFile].
type Stored interface {
	Properties() bank.Properties
	Digest() bank.Digest
	Size() int64
	Verify(ctx context.Context) error
	WriteTo(w io.Writer) (int64, error)
	Close() error
}

// OpenStored opens the file of a bank of any kind and checks that it is the one that info
// describes. Close the file.
func OpenStored(dir string, info store.BankInfo) (Stored, error) {
	f, err := openStored(BankPath(dir, info.Digest))
	if err != nil {
		return nil, fmt.Errorf("bank %s: %w", info.Digest.Short(), err)
	}
	if err := sameBank(f, info); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openStored opens the bank's file that is at path.
func openStored(path string) (Stored, error) {
	head, err := magicOf(path)
	switch {
	case err != nil:
		return nil, err
	case bank.IsAxes(head):
		return bank.OpenAxes(path)
	case bank.IsJoint(head):
		return bank.OpenJoint(path)
	}
	return bank.OpenFile(path)
}

// magicOf is how a file begins.
func magicOf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 8)
	n, err := io.ReadFull(f, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // too short for any
	}
	return head[:n], err
}

// sameBank compares what a file states with what is registered.
func sameBank(f Stored, info store.BankInfo) error {
	got, err := Info(f.Properties(), f.Digest())
	if err != nil {
		return err
	}
	if got.Digest != info.Digest || !bytes.Equal(got.Properties, info.Properties) || got.N != info.N ||
		got.Blocks != info.Blocks {
		return fmt.Errorf("bank %s: %w: the file holds bank %s, or other properties", info.Digest.Short(),
			bank.ErrCorrupt, got.Digest.Short())
	}
	return nil
}

// AddAxes writes axes into the folder and registers them as a bank.
func AddAxes(ctx context.Context, st *store.Store, dir string, a *bank.Axes) (store.BankInfo, error) {
	return addBank(ctx, st, dir, func(banks string) (bank.Digest, error) { return bank.SaveAxes(banks, a) })
}

// OpenAxes reads the axes that are registered as a bank, and checks all of their bytes.
func OpenAxes(dir string, info store.BankInfo) (*bank.Axes, error) {
	f, err := OpenStored(dir, info)
	if err != nil {
		return nil, err
	}
	a, ok := f.(*bank.AxesFile)
	if !ok {
		return nil, errors.Join(fmt.Errorf("bank %s: %w: no axes of this kind", info.Digest.Short(),
			store.ErrMismatch), f.Close())
	}
	return a.Axes, nil
}

// AddJoint writes joint axes into the folder and registers them as a bank.
func AddJoint(ctx context.Context, st *store.Store, dir string, a *bank.Joint) (store.BankInfo, error) {
	return addBank(ctx, st, dir, func(banks string) (bank.Digest, error) { return bank.SaveJoint(banks, a) })
}

// OpenJoint reads the joint axes that are registered as a bank, and checks all of their bytes.
func OpenJoint(dir string, info store.BankInfo) (*bank.Joint, error) {
	f, err := OpenStored(dir, info)
	if err != nil {
		return nil, err
	}
	a, ok := f.(*bank.JointFile)
	if !ok {
		return nil, errors.Join(fmt.Errorf("bank %s: %w: no axes of this kind", info.Digest.Short(),
			store.ErrMismatch), f.Close())
	}
	return a.Joint, nil
}

// overKnownAxes says whether the axes that joint axes are over are in the store: else nobody could
// see texts as they do.
func overKnownAxes(st *store.Store, f Stored) error {
	a, ok := f.(*bank.JointFile)
	if !ok {
		return nil
	}
	_, err := st.BankByDigest(store.Digest(a.Joint.Axes))
	if errors.Is(err, store.ErrNotFound) {
		return &store.MismatchError{What: "axes", Want: store.Digest(a.Joint.Axes)}
	}
	return err
}
