package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/store"
)

// Repair makes the new folder to of what is whole in a damaged one: the store's profiles, and the
// files of those banks that verify. The damaged folder is only read. If there is something at to it
// is store.ErrExists; with another error there is nothing.
func Repair(ctx context.Context, dir, to string, o *store.RepairOptions) (report store.RepairReport, err error) {
	if err := os.Mkdir(to, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%w: %s", store.ErrExists, to)
		}
		return report, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(to))
		}
	}()
	var ro store.RepairOptions
	if o != nil {
		ro = *o
	}
	ro.HeadLabels = headLabels
	if report, err = store.Repair(ctx, DB(dir), DB(to), &ro); err != nil {
		return report, err
	}
	st, err := Open(to, &store.Options{MasterKey: ro.MasterKey})
	if err != nil {
		return report, err
	}
	lost, err := copyBanks(ctx, st, dir, to)
	report.Lost = append(report.Lost, lost...)
	return report, errors.Join(err, st.Close())
}

// copyBanks copies the files of the banks that the store knows, and names those that are damaged.
func copyBanks(ctx context.Context, st *store.Store, dir, to string) (lost []string, err error) {
	banks, err := st.Banks()
	if err != nil {
		return nil, err
	}
	for _, info := range banks {
		p, err := Properties(info)
		if err == nil && p.Origin != bank.Random {
			err = copyBank(ctx, st, dir, to, info)
		}
		if cause := context.Cause(ctx); cause != nil {
			return lost, cause
		}
		switch {
		case errors.Is(err, bank.ErrCorrupt), errors.Is(err, fs.ErrNotExist):
			lost = append(lost, fmt.Sprintf("bank file: %v", err))
		case err != nil:
			return lost, err
		}
	}
	return lost, nil
}

func copyBank(ctx context.Context, st *store.Store, dir, to string, info store.BankInfo) error {
	f, err := os.Open(BankPath(dir, info.Digest))
	if err != nil {
		return err
	}
	defer f.Close()
	got, err := AddBank(ctx, st, to, f)
	if err == nil && got.Digest != info.Digest {
		err = fmt.Errorf("bank %s: %w: its file holds bank %s", info.Digest.Short(), bank.ErrCorrupt,
			got.Digest.Short())
	}
	return err
}
