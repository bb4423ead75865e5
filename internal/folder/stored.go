package folder

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/store"
)

// Stored is the open file of a bank that has one: of adapters, a [bank.File], or an [axes.File].
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
	case axes.Is(head):
		return axes.Open(path)
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

// AddAxes writes axes of either kind into the folder and registers them as a bank.
func AddAxes(ctx context.Context, st *store.Store, dir string, a encoding.BinaryMarshaler) (store.BankInfo, error) {
	return addBank(ctx, st, dir, func(banks string) (bank.Digest, error) { return axes.Save(banks, a) })
}

// OpenAxes reads the axes that are registered as a bank, and checks all of their bytes.
func OpenAxes(dir string, info store.BankInfo) (*axes.Axes, error) {
	f, err := openAxes(dir, info)
	if err != nil || f.Axes == nil {
		return nil, cmp.Or(err, otherKind(info))
	}
	return f.Axes, nil
}

// CheckAxes compares the file of axes with their digest, which is of all its bytes.
func CheckAxes(dir string, want store.Digest) error {
	f, err := os.Open(BankPath(dir, want))
	if err != nil {
		return fmt.Errorf("bank %s: %w", want.Short(), err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("bank %s: %w", want.Short(), err)
	}
	if got := store.Digest(h.Sum(nil)); got != want {
		return fmt.Errorf("bank %s: %w: the file holds bank %s", want.Short(), bank.ErrCorrupt, got.Short())
	}
	return nil
}

// OpenJoint is OpenAxes of joint axes.
func OpenJoint(dir string, info store.BankInfo) (*axes.Joint, error) {
	f, err := openAxes(dir, info)
	if err != nil || f.Joint == nil {
		return nil, cmp.Or(err, otherKind(info))
	}
	return f.Joint, nil
}

func openAxes(dir string, info store.BankInfo) (*axes.File, error) {
	f, err := OpenStored(dir, info)
	if err != nil {
		return nil, err
	}
	if a, ok := f.(*axes.File); ok {
		return a, nil
	}
	return nil, errors.Join(otherKind(info), f.Close())
}

func otherKind(info store.BankInfo) error {
	return fmt.Errorf("bank %s: %w: no axes of this kind", info.Digest.Short(), store.ErrMismatch)
}

// overKnownAxes says whether the axes that joint axes are over are in the store: else nobody could
// see texts as they do.
func overKnownAxes(st *store.Store, f Stored) error {
	a, ok := f.(*axes.File)
	if !ok || a.Joint == nil {
		return nil
	}
	_, err := st.BankByDigest(store.Digest(a.Joint.Axes))
	if errors.Is(err, store.ErrNotFound) {
		return &store.MismatchError{What: "axes", Want: store.Digest(a.Joint.Axes)}
	}
	return err
}
