package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// Import takes in a bundle that Export wrote: all of it or, with an error,
// nothing. It is bound to the same encoder and tokenizer, and to banks that
// the store knows or is allowed to take; else it is a MismatchError. Readers
// and writers go on meanwhile; they see none of the profiles before Import's
// one committing transaction and all of them after. A second Import waits.
// A bundle that Trust or RequireSigned refuse, or whose signature is wrong, is
// ErrSignature; the signature is at the end, and nothing is committed before.
func (s *Store) Import(ctx context.Context, r io.Reader, o ImportOptions) (ImportReport, error) {
	report, err := s.importBundle(ctx, r, o)
	if err != nil {
		return ImportReport{}, fmt.Errorf("store: import: %w", err)
	}
	return report, nil
}

func (s *Store) importBundle(ctx context.Context, r io.Reader, o ImportOptions) (ImportReport, error) {
	if err := o.normalize(); err != nil {
		return ImportReport{}, err
	}
	select {
	case <-s.importing:
		defer func() { s.importing <- struct{}{} }()
	case <-ctx.Done():
		return ImportReport{}, ctx.Err()
	}
	b, err := newBundleReader(r, o.MaxBytes)
	if err != nil {
		return ImportReport{}, err
	}
	defer b.Close()
	signer := b.source.chunks.signer
	if err := o.accepts(signer); err != nil {
		return ImportReport{}, err
	}
	im := &importer{s: s, o: o, b: b, banks: []uint32{0}, heads: []uint32{0}}
	im.report.SignedBy = signer
	if err := im.readHeader(); err != nil {
		return ImportReport{}, err
	}
	if err := im.begin(ctx); err != nil {
		return ImportReport{}, err
	}
	if err := im.stageAndCommit(ctx); err != nil {
		return ImportReport{}, err
	}
	if err := s.mergeImport(); err != nil {
		// It is committed: readers see it, and the next import, or Open, merges.
		s.opts.Logger.Error("import is not merged yet", "error", err)
	}
	return im.report, nil
}

// importer reads a bundle into the staging bucket. A batch is staged while the
// next one is read.
type importer struct {
	s      *Store
	o      ImportOptions
	b      *bundleReader
	report ImportReport
	banks  []uint32 // bundle's ref → store's
	heads  []uint32

	unknown *BankInfo // its file may be the next frame
	read    int       // profiles

	batch      []staged
	batchBytes int
	staging    chan stagingEnd // of the batch before; nil if there is none
	ids        []byte          // the bucket within bktStaging that the ids are in

	// Those of what is staged so far; not to be read before wait.
	recordBytes uint64
	maskBytes   uint64
	idSum       sum // of the keys in ids
}

// staged is one profile of the bundle with what goes with it.
type staged struct {
	profile *Profile
	record  []byte // its encoding
	state   []byte
	was     *Profile // as it was in the bundle
	shelf   shelf
}

// A batch is what one staging transaction writes at most, but for its last
// profile.
const (
	batchProfiles = 5000
	batchBytes    = 4 << 20
)

// stageAndCommit leaves all of the bundle or nothing, also if a callback or the
// bundle's reader panics.
func (im *importer) stageAndCommit(ctx context.Context) (err error) {
	committed := false
	defer func() {
		if committed {
			return
		}
		im.settle()
		if undo := im.s.abandonStaging(); undo != nil {
			// The next import, or Open, tries again; no reader sees it.
			im.s.opts.Logger.Error("cut-short import is still in the file", "error", undo)
		}
	}()
	if err := im.stageAll(ctx); err != nil {
		return err
	}
	err = im.commit(ctx)
	committed = err == nil
	return err
}

// stageAll stages what it reads, to the end of the bundle.
func (im *importer) stageAll(ctx context.Context) error {
	err := im.readAll(ctx)
	if staging := im.wait(); err == nil {
		err = staging
	}
	return err
}

func (im *importer) readAll(ctx context.Context) error {
	for {
		f, err := im.b.next()
		if im.unknown != nil && (err != nil || f.kind != frameBankFile) {
			if err := im.takeBank(ctx, nil); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return im.flush(ctx)
		}
		if err != nil {
			return err
		}
		if err := im.take(ctx, f); err != nil {
			return err
		}
	}
}

func (im *importer) take(ctx context.Context, f frame) error {
	switch f.kind {
	case frameBank:
		return im.lookUpBank(f.bank)
	case frameBankFile:
		return im.takeFile(ctx, f.fileSize)
	case frameHead:
		return im.takeHead(ctx, f.head)
	case frameProfile:
		return im.takeProfile(ctx, f.profile, f.record)
	case frameState:
		im.last().state = f.state
		im.batchBytes += len(f.state)
	case framePerson:
		im.last().shelf.person = f.person
	case frameExample:
		return im.takeExample(f.example)
	}
	return nil
}

func (im *importer) readHeader() error {
	f, err := im.b.next()
	if err != nil {
		return err
	}
	h, m := f.header, im.s.meta
	if h.encoder != m.Encoder {
		return &MismatchError{What: "encoder", Have: m.Encoder, Want: h.encoder}
	}
	if h.tokenizer != m.Tokenizer {
		return &MismatchError{What: "tokenizer", Have: m.Tokenizer, Want: h.tokenizer}
	}
	return nil
}

// lookUpBank finds the store's ref of a bank, or leaves it as unknown.
func (im *importer) lookUpBank(info BankInfo) error {
	have, err := im.s.BankByDigest(info.Digest)
	switch {
	case errors.Is(err, ErrNotFound):
		im.unknown = &info
		return nil
	case err != nil:
		return err
	case have.N != info.N || have.Blocks != info.Blocks:
		return corrupt("bank %s has N=%d L=%d, the store's has N=%d L=%d",
			info.Digest.Short(), info.N, info.Blocks, have.N, have.Blocks)
	}
	im.banks = append(im.banks, have.Ref)
	return nil
}

// takeFile gives the file of an unknown bank to OnBank, and reads to its end.
func (im *importer) takeFile(ctx context.Context, size int64) error {
	file := &io.LimitedReader{R: im.b, N: size}
	if im.unknown != nil {
		if err := im.takeBank(ctx, file); err != nil {
			if bad := im.b.source.chunks.err; bad != nil && bad != io.EOF {
				return bad // rather than what OnBank made of it
			}
			return err
		}
	}
	if _, err := io.Copy(io.Discard, file); err != nil {
		return err
	}
	if file.N > 0 {
		return corrupt("bank file ends %d bytes too early", file.N)
	}
	return nil
}

// takeBank registers the unknown bank, if the caller lets it.
func (im *importer) takeBank(ctx context.Context, file io.Reader) error {
	info := *im.unknown
	im.unknown = nil
	if err := im.wait(); err != nil { // one callback of the caller's at a time
		return err
	}
	given := info
	given.Ref = 0
	switch {
	case file != nil && im.o.OnBank != nil:
		if err := im.o.OnBank(given, file); err != nil {
			return fmt.Errorf("bank %s: %w", info.Digest.Short(), err)
		}
	case im.o.AllowBank != nil:
		if err := im.o.AllowBank(given); err != nil {
			return fmt.Errorf("bank %s: %w", info.Digest.Short(), err)
		}
	default:
		return &MismatchError{What: "bank", Want: info.Digest}
	}
	ref, err := im.register(ctx, kindBank, info.Digest, encodeBank(info))
	im.banks = append(im.banks, ref)
	im.report.Banks++
	return err
}

func (im *importer) takeHead(ctx context.Context, data []byte) error {
	if err := im.checkHead(data); err != nil {
		return err
	}
	digest := Digest(sha256.Sum256(data))
	ref, err := im.register(ctx, kindHead, digest, encodeHead(digest, data))
	im.heads = append(im.heads, ref)
	return err
}

func (im *importer) checkHead(data []byte) error {
	if len(data) > im.o.MaxHead {
		return fmt.Errorf("%w: a head of %d bytes, at most %d", ErrLimit, len(data), im.o.MaxHead)
	}
	return nil
}

func (im *importer) takeProfile(ctx context.Context, p *Profile, record []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if im.read++; im.read > im.o.MaxProfiles {
		return fmt.Errorf("%w: a bundle of more than %d profiles", ErrLimit, im.o.MaxProfiles)
	}
	if err := im.checkHead(p.OwnHead); err != nil {
		return fmt.Errorf("profile %q: %w", p.ID, err)
	}
	if len(im.batch) >= im.s.batch || im.batchBytes >= batchBytes {
		if err := im.flush(ctx); err != nil {
			return err
		}
	}
	was := *p
	st := staged{profile: p, was: &was, shelf: shelf{opts: &im.s.opts}}
	var err error
	if st.record, err = im.adapt(p, record); err != nil {
		return err
	}
	im.batch = append(im.batch, st)
	im.batchBytes += len(st.record)
	return nil
}

// adapt makes a profile of the bundle one of the store, and returns its record.
func (im *importer) adapt(p *Profile, record []byte) ([]byte, error) {
	id, revision := p.ID, p.Revision
	p.ID = im.o.Prefix + p.ID
	if err := checkID(p.ID, im.s.opts.MaxID); err != nil {
		return nil, err
	}
	p.Bank, p.Head = im.banks[p.Bank], im.heads[p.Head]
	if p.Revision = max(p.Revision, 1); p.Revision != revision || p.ID != id {
		return EncodeProfile(p)
	}
	refs, err := readRefs(record)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(refs.replaced(record, p.Bank, p.Head)), nil
}

func (im *importer) last() *staged { return &im.batch[len(im.batch)-1] }

// takeExample puts an example on the profile's shelf, under rules of ours: what
// a bundle says of a text's key is not believed.
func (im *importer) takeExample(e kept) error {
	last, limit := im.last(), im.s.opts.MaxExamples
	if err := im.s.checkExamples([]Example{e.Example}); err != nil {
		return fmt.Errorf("profile %q: %w", last.profile.ID, err)
	}
	im.batchBytes += len(e.Text) + len(e.Pair) + len(e.Label)
	last.shelf.take(last.was, e)
	if len(last.shelf.examples) > 2*limit {
		last.shelf.trim(limit)
	}
	return nil
}
