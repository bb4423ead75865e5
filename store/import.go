package store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/xpeft/xpeft/store/internal/sidefile"
)

// Import takes in a bundle that Export wrote. It must be bound to the same
// encoder and tokenizer, and to banks that the store knows or is allowed to
// take; else it is a MismatchError. A bundle that Trust or RequireSigned refuse,
// or whose signature is wrong, is ErrSignature.
//
// The whole bundle is verified first, in a side file beside the store: with an
// error until then nothing has happened, and the report is zero. Then its
// profiles become visible in batches, each profile whole, whatever ctx says. If
// that ends early (ErrFull, ErrClosed, a crash) the report says how far it came, and the
// next Open or Import merges the rest. Other readers and writers go on
// meanwhile: the policy is applied once more to what they have put. Under Fail their
// profile stays, the others are merged, and the error is ErrExists. A second
// Import waits.
func (s *Store) Import(ctx context.Context, r io.Reader, o ImportOptions) (ImportReport, error) {
	s.imports.Add(1)
	defer s.imports.Add(-1)
	report, err := s.importBundle(ctx, r, o)
	if err != nil {
		return report, fmt.Errorf("store: import: %w", boltError(err))
	}
	return report, nil
}

func (s *Store) importBundle(ctx context.Context, r io.Reader, o ImportOptions) (ImportReport, error) {
	if err := o.normalize(); err != nil {
		return ImportReport{}, err
	}
	if err := s.importing.lockFor(ctx); err != nil {
		return ImportReport{}, err
	}
	defer s.importing.Unlock()
	if s.opts.ReadOnly {
		return ImportReport{}, ErrReadOnly
	}
	if err := s.finishImport(); err != nil {
		return ImportReport{}, fmt.Errorf("an earlier import is not finished: %w", err)
	}
	b, err := newBundleReader(r, o.MaxBytes)
	if err != nil {
		return ImportReport{}, err
	}
	defer b.Close()
	if err := o.accepts(b.Signer); err != nil {
		return ImportReport{}, err
	}
	v := &verifier{s: s, o: o, b: b}
	v.report.SignedBy = b.Signer
	side, err := v.verify(ctx)
	if err != nil {
		return ImportReport{}, err
	}
	m := newMerger(s, side, pendingImport{id: side.ID(), policy: o.Policy, total: uint64(v.kept)})
	m.report = v.report
	return m.finish()
}

// finishImport merges what is left of an earlier import. The caller is the only
// one that imports.
func (s *Store) finishImport() error {
	left, err := s.unfinished()
	if errors.Is(err, ErrCorrupt) {
		return s.dropPending(err)
	}
	if err != nil {
		return err
	}
	if left == nil {
		s.removeLeft(sidefile.Suffix, "an import")
		return nil
	}
	side, err := s.openSide(left.id)
	if isLost(err) {
		return s.dropPending(err)
	}
	if err != nil {
		return err
	}
	s.opts.Logger.Info("finishing an import that was cut short", "merged", left.merged, "of", left.total)
	m := newMerger(s, side, *left)
	m.begun = true
	report, err := m.finish()
	if err == nil || err == m.left || m.lost { // what is lost is in the log
		s.opts.Logger.Info("finished an import", "profiles", report.Profiles, "skipped", report.Skipped, "first",
			m.left)
		return nil
	}
	return err
}
