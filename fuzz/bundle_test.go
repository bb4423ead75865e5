package fuzz

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/xpeft/xpeft/store"
)

// sampleBundle is of three profiles with everything that a bundle can hold.
func sampleBundle(f testing.TB) []byte {
	ctx := context.Background()
	s := openStore(f)
	bank, err := s.PutBank(ctx, store.BankInfo{Digest: store.Digest{3}, N: 8, Blocks: 1, Properties: []byte("p")})
	if err != nil {
		f.Fatal(err)
	}
	head, _, err := s.PutHead(ctx, []byte("head"))
	if err != nil {
		f.Fatal(err)
	}
	axes, err := s.PutBank(ctx, store.BankInfo{Digest: store.Digest{4}, N: 18, Blocks: 1})
	if err != nil {
		f.Fatal(err)
	}
	for i, id := range []string{"ann", "bob", "carl"} {
		p := &store.Profile{ID: id, Bank: bank, Mask: mask(f, 8, 2, 1), Prior: []uint32{1, 2}}
		w := store.Write{State: []byte("state")}
		if i == 0 {
			p.Head = head
			w.Append = []store.Example{{Text: "text", Pair: "pair", Label: "label"}}
		}
		if i == 2 {
			p.Codes = []store.Code{code(axes, 9, 0, 1)}
		}
		if _, err := s.Put(ctx, p, w); err != nil {
			f.Fatal(err)
		}
	}
	var b bytes.Buffer
	_, err = s.Export(ctx, &b, store.ExportOptions{Examples: true, State: true,
		BankFile: func(store.BankInfo) (io.ReadCloser, int64, error) {
			return io.NopCloser(bytes.NewReader([]byte("bank file"))), 9, nil
		}})
	if err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}

// FuzzBundle imports any bytes, as a bundle, as the frames within one, and as
// those of a signed one: an error that leaves the store as it was, or a sound
// store.
func FuzzBundle(f *testing.F) {
	bundle := sampleBundle(f)
	f.Add(bundle)
	f.Add(bundle[:len(bundle)/2])
	f.Add(frames(f, bundle))
	f.Add(frames(f, bundle)[:80])
	signed := sign(bundle)
	f.Add(signed)
	f.Add(signed[:len(signed)-1])
	sealed := seal(f, signed)
	f.Add(sealed)
	f.Add(sealed[:len(sealed)-1])
	s := openStore(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		importBytes(t, s, b)
		importBytes(t, s, wrap(t, b))
		importBytes(t, s, sign(wrap(t, b)))
	})
}

// importBytes imports into a store without profiles, and leaves it so.
func importBytes(t *testing.T, s *store.Store, b []byte) {
	ctx := context.Background()
	before, err := s.Banks()
	if err != nil {
		t.Fatal(err)
	}
	report, err := s.Import(ctx, bytes.NewReader(b), store.ImportOptions{
		MaxBytes: 1 << 20, MaxProfiles: 100,
		OnBank:    func(_ store.BankInfo, r io.Reader) error { _, err := io.Copy(io.Discard, r); return err },
		AllowBank: func(store.BankInfo) error { return nil },
	})
	n, countErr := s.Count()
	if countErr != nil || n != report.Profiles {
		t.Fatalf("got %d profiles, %v, want %d", n, countErr, report.Profiles)
	}
	if err == nil {
		if report, err := s.Check(ctx, true); err != nil {
			t.Fatalf("%v %v", err, report.Problems)
		}
		empty(t, s)
		return
	}
	after, bankErr := s.Banks()
	if len(after) != len(before) || bankErr != nil {
		t.Fatalf("failed import left %d banks after %d, %v", len(after), len(before), bankErr)
	}
	for _, want := range []error{store.ErrCorrupt, store.ErrSchema, store.ErrMismatch, store.ErrLimit, store.ErrID,
		store.ErrSignature} {
		if errors.Is(err, want) {
			return
		}
	}
	t.Fatalf("got %v, want a typed error", err)
}

func empty(t *testing.T, s *store.Store) {
	for p, err := range s.Profiles("") {
		if err == nil {
			err = s.Delete(context.Background(), p.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// wrap makes a bundle of frames, with the right checksums.
func wrap(t testing.TB, frames []byte) []byte {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	b := append([]byte("XPEFTB"), 1, 0)
	for rest := z.EncodeAll(frames, nil); len(rest) > 0; {
		n := min(len(rest), 1<<16)
		b = append(binary.LittleEndian.AppendUint32(b, uint32(n)), rest[:n]...)
		rest = rest[n:]
	}
	b = append(b, 0, 0, 0, 0)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// signer signs bundles of version 2.
var signer = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// sign makes a signed bundle of an unsigned one.
func sign(unsigned []byte) []byte {
	b := append([]byte("XPEFTB\x02\x00"), signer.Public().(ed25519.PublicKey)...)
	b = append(b, unsigned[8:len(unsigned)-sha256.Size]...)
	sum := sha256.Sum256(b)
	b = append(b, sum[:]...)
	return append(b, ed25519.Sign(signer, append([]byte("xpeft bundle v2\x00"), sum[:]...))...)
}

// frames takes them out of a bundle again.
func frames(t testing.TB, bundle []byte) []byte {
	var compressed []byte
	for rest := bundle[8:]; ; {
		n := binary.LittleEndian.Uint32(rest)
		if n == 0 {
			break
		}
		compressed, rest = append(compressed, rest[4:4+n]...), rest[4+n:]
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	b, err := z.DecodeAll(compressed, nil)
	if err != nil {
		t.Fatal(fmt.Errorf("bundle of %d bytes: %w", len(bundle), err))
	}
	return b
}
