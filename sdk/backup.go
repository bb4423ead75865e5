package sdk

import (
	"cmp"
	"context"
	"io"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// CompactReport says what Compact did.
type CompactReport = store.CompactReport

// BackupReport says what a backup holds.
type BackupReport = store.BackupReport

// RestoreReport says what Restore made, or Verify read.
type RestoreReport = store.RestoreReport

// RestoreOptions say how backups are read. Nil, and every zero field, means the default.
type RestoreOptions struct {
	MaxBytes int64 // of each backup, decompressed; default 64 GiB
}

// BackupOptions say what a backup holds. Nil, and every zero field, means the default.
type BackupOptions struct {
	Since uint64 // the revision of an earlier backup: only what changed since; default: everything
}

// Compact writes xpeft.db anew, as small as it can be and without a byte of what was forgotten
// before. Predict goes on; what writes waits while the file is copied. It needs room for a second
// file; without it, it is ErrFull. A damaged file is ErrCorrupt. On any error, and after a crash,
// the old file is there, whole. Compact returns when the calls that began before have left the old
// file, a slow Backup among them; if ctx ends first the report says Waiting.
func (p *Folder) Compact(ctx context.Context) (CompactReport, error) {
	leave, err := p.enterToWrite()
	if err != nil {
		return CompactReport{}, err
	}
	defer leave()
	return p.store.Compact(ctx)
}

// Backup writes all that Restore needs to make the folder again, as it is at one moment, while it
// is in use: profiles, examples and history, the keys of an encrypted folder, warm banks with their
// reports. The model is not in it. With Since it writes the profiles that were written since
// that backup, and which there are; the folder remembers the last 8, and for others it is
// ErrNoBase. A profile that cannot be read makes it ErrCorrupt. With an error what was written is
// no backup, and Restore refuses it.
func (p *Folder) Backup(ctx context.Context, w io.Writer, o *BackupOptions) (BackupReport, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return BackupReport{}, err
	}
	defer leave()
	o = cmp.Or(o, &BackupOptions{})
	return folder.Backup(ctx, p.store, p.dir, w, o.Since)
}

// Restore makes a folder of a full backup and any number of those made since, in their order. If
// dir holds a store it is ErrExists; a backup that is damaged or cut off is ErrCorrupt, one that
// does not build on the one before ErrMismatch; then nothing is left behind. Who was forgotten
// before the last one is not in it. Open the folder with the master key, if it has one, and with
// Options.Model if the model is elsewhere now.
func Restore(ctx context.Context, dir string, o *RestoreOptions, backups ...io.Reader) (RestoreReport, error) {
	o = cmp.Or(o, &RestoreOptions{})
	rep, err := folder.Restore(ctx, dir, o.MaxBytes, backups...)
	return rep, corrupt("backup", err)
}

// Verify reads backups as Restore does, and writes nothing. It does not compare the bank files in
// them with their digests: Restore does. Like Restore it needs no master key, and so sees of an
// encrypted folder's values no more than their sizes: Check does.
func Verify(ctx context.Context, o *RestoreOptions, backups ...io.Reader) (RestoreReport, error) {
	o = cmp.Or(o, &RestoreOptions{})
	return store.Verify(ctx, &store.RestoreOptions{MaxBytes: o.MaxBytes}, backups...)
}
