package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/store"
)

// Info is what the store keeps of a bank: enough to make a random bank again, and to recognise the
// file of a warm one or of axes.
func Info(p bank.Properties, d bank.Digest) (store.BankInfo, error) {
	b, err := p.MarshalBinary()
	if err != nil {
		return store.BankInfo{}, err
	}
	return store.BankInfo{Digest: store.Digest(d), N: p.N, Blocks: p.Blocks, Properties: b}, nil
}

// RandomInfo is Info of a random bank, whose properties determine its digest.
func RandomInfo(p bank.Properties) (store.BankInfo, error) {
	d, err := p.Digest()
	if err != nil {
		return store.BankInfo{}, err
	}
	return Info(p, d)
}

// Properties reads the properties in info and checks them against its shape and, for a random bank,
// its digest.
func Properties(info store.BankInfo) (bank.Properties, error) {
	var p bank.Properties
	if err := p.UnmarshalBinary(info.Properties); err != nil {
		return bank.Properties{}, fmt.Errorf("bank %s: %w", info.Digest.Short(), err)
	}
	if p.N != info.N || p.Blocks != info.Blocks {
		return bank.Properties{}, fmt.Errorf("bank %s: %w: registered with N=%d L=%d, its properties say N=%d L=%d",
			info.Digest.Short(), bank.ErrCorrupt, info.N, info.Blocks, p.N, p.Blocks)
	}
	if p.Origin != bank.Random {
		return p, nil
	}
	d, err := p.Digest()
	if err != nil {
		return bank.Properties{}, err
	}
	if store.Digest(d) != info.Digest {
		return bank.Properties{}, fmt.Errorf("bank %s: %w: its properties make bank %s", info.Digest.Short(),
			bank.ErrCorrupt, store.Digest(d).Short())
	}
	return p, nil
}

// OpenBank opens the file of a warm bank, which a profile's masks choose from, and checks that it
// is the one that info describes. Close the file.
func OpenBank(dir string, info store.BankInfo) (*bank.File, error) {
	f, err := bank.OpenFile(BankPath(dir, info.Digest))
	if err != nil {
		return nil, fmt.Errorf("bank %s: %w", info.Digest.Short(), err)
	}
	if err := sameBank(f, info); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// AddBank copies a bank file, of adapters or of axes of either kind, out of a stream into the
// folder, once all of it was verified, and registers it. It reads exactly the file's length.
func AddBank(ctx context.Context, st *store.Store, dir string, r io.Reader) (store.BankInfo, error) {
	return addBank(ctx, st, dir, func(banks string) (bank.Digest, error) { return axes.Receive(ctx, banks, r) })
}

// SaveBank writes a bank that is in memory into the folder, and registers it.
func SaveBank(ctx context.Context, st *store.Store, dir string, p bank.Properties, affine []float32,
	row bank.RowFunc) (store.BankInfo, error) {
	return addBank(ctx, st, dir, func(banks string) (bank.Digest,
		error) {
		return bank.Save(ctx, banks, p, affine, row)
	})
}

func addBank(ctx context.Context, st *store.Store, dir string,
	write func(banks string) (bank.Digest, error)) (store.BankInfo, error) {
	if err := MakeBanks(dir); err != nil {
		return store.BankInfo{}, err
	}
	d, err := write(Banks(dir))
	if err != nil {
		return store.BankInfo{}, err
	}
	info, err := register(ctx, st, dir, d)
	if err != nil {
		return store.BankInfo{}, errors.Join(err, removeUnknown(st, dir, store.Digest(d)))
	}
	return info, nil
}

func register(ctx context.Context, st *store.Store, dir string, d bank.Digest) (store.BankInfo, error) {
	f, err := openStored(BankPath(dir, store.Digest(d)))
	if err != nil {
		return store.BankInfo{}, err
	}
	defer f.Close()
	if err := overKnownAxes(st, f); err != nil {
		return store.BankInfo{}, err
	}
	info, err := Info(f.Properties(), f.Digest())
	if err != nil {
		return store.BankInfo{}, err
	}
	want, err := shapeOf(st)
	if err != nil {
		return store.BankInfo{}, err
	}
	if _, err := want.check(info); err != nil {
		return store.BankInfo{}, err
	}
	info.Ref, err = st.PutBank(ctx, info)
	return info, err
}

// shape is d of the banks that fit the store's encoder; zero where nothing is known. The store
// knows its encoder by digest only, but has a bank made for it. How many of the encoder's blocks
// have adapters is each bank's own affair.
type shape int

func shapeOf(st *store.Store) (shape, error) {
	banks, err := st.Banks()
	if err != nil || len(banks) == 0 {
		return 0, err
	}
	p, err := Properties(banks[0])
	return shape(p.Hidden), err
}

// check returns the properties of a bank that fits.
func (s shape) check(info store.BankInfo) (bank.Properties, error) {
	p, err := Properties(info)
	if err != nil {
		return p, err
	}
	if p.Origin == bank.JointAxes { // their Hidden is that of φ
		if s != 0 && p.Hidden%int(s) != 0 {
			return p, fmt.Errorf("bank %s: %w: over φ of %d values, which no states of d=%d make",
				info.Digest.Short(), store.ErrMismatch, p.Hidden, int(s))
		}
		return p, nil
	}
	if s != 0 && p.Hidden != int(s) {
		return p, fmt.Errorf("bank %s: %w: made for an encoder with d=%d, the store's has d=%d", info.Digest.Short(),
			store.ErrMismatch, p.Hidden, int(s))
	}
	return p, nil
}

// removeUnknown deletes a bank's file if the store does not know the bank.
func removeUnknown(st *store.Store, dir string, d store.Digest) error {
	if _, err := st.BankByDigest(d); !errors.Is(err, store.ErrNotFound) {
		return nil // known, or nobody can tell: a file too many does no harm
	}
	if err := os.Remove(BankPath(dir, d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// CheckBanks looks at every bank of the store: its properties, and whether its file, if it is not a
// random one, is there and states the same. Deep reads the files whole and compares their SHA-256;
// of axes that is always done. It returns what is wrong, a line for each; of banks that the store
// cannot read its own Check says it.
func CheckBanks(ctx context.Context, st *store.Store, dir string, deep bool) (problems []string, err error) {
	banks, err := st.Banks()
	if err != nil && !errors.Is(err, store.ErrCorrupt) {
		return nil, err
	}
	for _, info := range banks {
		err := checkBank(ctx, dir, info, deep)
		if cause := context.Cause(ctx); cause != nil {
			return problems, cause
		}
		if err != nil {
			problems = append(problems, err.Error())
		}
	}
	return problems, nil
}

func checkBank(ctx context.Context, dir string, info store.BankInfo, deep bool) error {
	p, err := Properties(info)
	if err != nil || p.Origin == bank.Random {
		return err
	}
	f, err := OpenStored(dir, info)
	if err != nil {
		return err
	}
	defer f.Close()
	if !deep {
		return nil
	}
	if err := f.Verify(ctx); err != nil {
		return fmt.Errorf("bank %s: %w", info.Digest.Short(), err)
	}
	return nil
}
