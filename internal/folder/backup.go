package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/internal/durable"
	"github.com/xpeft/xpeft/store"
)

// ReportPath is the path of the report of how a warm bank was trained, if there is one.
func ReportPath(dir string, d store.Digest) string { return BankPath(dir, d) + ".json" }

// maxReport bounds a bank's report in a backup.
const maxReport = 64 << 20

// Backup writes the folder: the store, its keys, and the files of banks with their reports. With
// since, what changed since the backup of that revision.
func Backup(ctx context.Context, st *store.Store, dir string, w io.Writer, since uint64) (store.BackupReport, error) {
	return st.Backup(ctx, w, &store.BackupOptions{Since: since,
		BankFiles: func(info store.BankInfo) ([]store.BackupFile, error) {
			return filesOf(dir, info)
		}})
}

func filesOf(dir string, info store.BankInfo) ([]store.BackupFile, error) {
	size, err := fileSize(dir, info)
	if err != nil || size == 0 {
		return nil, err
	}
	files := []store.BackupFile{{Size: size, Open: opener(BankPath(dir, info.Digest))}}
	report, err := os.Stat(ReportPath(dir, info.Digest))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return files, nil
	case err != nil:
		return nil, err
	case report.Size() > maxReport:
		return nil, fmt.Errorf("%w: report of bank %s has %d bytes, at most %d", store.ErrLimit, info.Digest.Short(),
			report.Size(), maxReport)
	}
	return append(files, store.BackupFile{Report: true, Size: report.Size(),
		Open: opener(ReportPath(dir, info.Digest))}), nil
}

// fileSize is that of a bank's file, whose header is right, and its length; 0 for a random bank,
// which has no file.
func fileSize(dir string, info store.BankInfo) (int64, error) {
	p, err := Properties(info)
	if err != nil || p.Origin == bank.Random {
		return 0, err
	}
	f, err := OpenStored(dir, info)
	if err != nil {
		return 0, err
	}
	return f.Size(), f.Close()
}

func opener(path string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(path) }
}

// Restore makes a folder of a full backup and those that were made since, in their order: all of it
// or, with an error, nothing. Each has at most so many bytes, decompressed; 0: 64 GiB. The folder
// must not hold a store. A crash can leave a folder .restore-…, which holds people's data and can
// be deleted.
func Restore(ctx context.Context, dir string, most int64, backups ...io.Reader) (rep store.RestoreReport,
	err error) {
	switch exists, err := Exists(dir); {
	case err != nil:
		return rep, err
	case exists:
		return rep, fmt.Errorf("%w: %s", store.ErrExists, DB(dir))
	}
	_, err = os.Lstat(dir)
	isNew := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return rep, err
	}
	rep, err = restore(ctx, dir, most, backups)
	if err != nil && isNew {
		os.Remove(dir) // if it is empty
	}
	return rep, err
}

// restore makes all of it in a folder within dir, and moves it to its place, the store last.
func restore(ctx context.Context, dir string, most int64, backups []io.Reader) (rep store.RestoreReport,
	err error) {
	work, err := os.MkdirTemp(dir, ".restore-")
	if err != nil {
		return rep, err
	}
	defer os.RemoveAll(work)
	if err := os.Mkdir(Banks(work), 0o777); err != nil {
		return rep, err
	}
	rep, err = store.Restore(ctx, DB(work),
		&store.RestoreOptions{MaxBytes: most, OnFile: func(d store.Digest, report bool, r io.Reader) error {
			return receive(ctx, work, d, report, r)
		}}, backups...)
	if err != nil {
		return rep, err
	}
	moved, err := moveBanks(work, dir)
	if err == nil {
		err = store.Move(DB(work), DB(dir))
	}
	if err != nil {
		for _, path := range moved {
			err = errors.Join(err, os.Remove(path))
		}
		os.Remove(Banks(dir)) // if it is empty
		return store.RestoreReport{}, err
	}
	return rep, nil
}

// receive takes in one file of a backup. Its name is the digest that it was found to have, or that
// of the bank it reports on.
func receive(ctx context.Context, work string, d store.Digest, report bool, r io.Reader) error {
	if report {
		return receiveReport(ReportPath(work, d), r)
	}
	got, err := axes.Receive(ctx, Banks(work), r)
	if err != nil {
		return fmt.Errorf("bank %s: %w", d.Short(), err)
	}
	if store.Digest(got) != d {
		return fmt.Errorf("%w: the file of bank %s is bank %s", store.ErrCorrupt, d.Short(), store.Digest(got).Short())
	}
	return nil
}

func receiveReport(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(r, maxReport+1))
	if n > maxReport {
		err = fmt.Errorf("%w: a bank's report of more than %d bytes", store.ErrLimit, maxReport)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// moveBanks moves the files of banks that dir does not have, and says which.
func moveBanks(work, dir string) (moved []string, err error) {
	files, err := os.ReadDir(Banks(work))
	if err != nil || len(files) == 0 {
		return nil, err
	}
	if err := MakeBanks(dir); err != nil {
		return nil, err
	}
	for _, f := range files {
		to := filepath.Join(Banks(dir), f.Name())
		if _, err := os.Lstat(to); err == nil {
			continue
		}
		if err := os.Rename(filepath.Join(Banks(work), f.Name()), to); err != nil {
			return moved, err
		}
		moved = append(moved, to)
	}
	return moved, durable.SyncDir(Banks(dir))
}
