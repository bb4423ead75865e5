package store

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/store/internal/bundle"
)

func TestImportMismatch(t *testing.T) {
	r := newRand(t)
	bundle := export(t, filled(t, r, 2), ExportOptions{})
	for what, change := range map[string]func(*Meta){
		"encoder":   func(m *Meta) { m.Encoder[0]++ },
		"tokenizer": func(m *Meta) { m.Tokenizer[0]++ },
		"bank":      func(*Meta) {},
	} {
		meta := testMeta
		change(&meta)
		to, err := Create(t.TempDir()+"/x.db", meta, fast)
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		_, err = to.Import(ctx, bytes.NewReader(bundle), ImportOptions{})
		var mismatch *MismatchError
		if !errors.As(err, &mismatch) || mismatch.What != what || !errors.Is(err, ErrMismatch) {
			t.Errorf("got %v, want a mismatch of the %s", err, what)
		}
	}
}

func TestImportBank(t *testing.T) {
	r := newRand(t)
	from := filled(t, r, 5)
	file := bytes.Repeat([]byte("adapters "), 300_000)
	withFile := everything
	withFile.BankFile = func(info BankInfo) (io.ReadCloser, int64, error) {
		return io.NopCloser(bytes.NewReader(file)), int64(len(file)), nil
	}
	bundle := export(t, from, withFile)
	bare := export(t, from, everything)
	empty := func() *Store {
		to, err := Create(t.TempDir()+"/x.db", testMeta, fast)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { checkAndClose(t, to) })
		return to
	}
	want := contents(t, from)

	t.Run("file", func(t *testing.T) {
		to := empty()
		var got []byte
		report, err := to.Import(ctx, bytes.NewReader(bundle),
			ImportOptions{OnBank: func(info BankInfo, r io.Reader) (err error) {
				if info.Digest != testBank.Digest || !bytes.Equal(info.Properties, testBank.Properties) {
					t.Errorf("got %v, want %v", info, testBank)
				}
				got, err = io.ReadAll(r)
				return err
			}})
		if err != nil || report.Banks != 1 || !bytes.Equal(got, file) {
			t.Fatalf("got %+v, %v and %d bytes, want %d", report, err, len(got), len(file))
		}
		if diff := cmp.Diff(want, contents(t, to), byValue); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("file not read to its end", func(t *testing.T) {
		report, err := empty().Import(ctx, bytes.NewReader(bundle),
			ImportOptions{OnBank: func(BankInfo, io.Reader) error { return nil }})
		if err != nil || report.Profiles != 5 {
			t.Errorf("got %+v, %v", report, err)
		}
	})
	t.Run("file refused", func(t *testing.T) {
		refusal := errors.New("no")
		to := empty()
		_, err := to.Import(ctx, bytes.NewReader(bundle),
			ImportOptions{OnBank: func(BankInfo, io.Reader) error { return refusal }})
		if !errors.Is(err, refusal) {
			t.Errorf("got %v, want %v", err, refusal)
		}
		if banks, err := to.Banks(); len(banks) != 0 || err != nil {
			t.Errorf("got %v, %v, want no banks", banks, err)
		}
	})
	t.Run("allowed", func(t *testing.T) {
		for _, b := range [][]byte{bundle, bare} {
			report, err := empty().Import(ctx, bytes.NewReader(b),
				ImportOptions{AllowBank: func(BankInfo) error { return nil }})
			if err != nil || report.Profiles != 5 || report.Banks != 1 {
				t.Errorf("got %+v, %v", report, err)
			}
		}
	})
	t.Run("file cut", func(t *testing.T) {
		_, err := empty().Import(ctx, bytes.NewReader(bundle[:len(bundle)/2]),
			ImportOptions{OnBank: func(_ BankInfo, r io.Reader) error {
				_, err := io.ReadAll(r)
				return err
			}})
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("got %v, want ErrCorrupt", err)
		}
	})
	t.Run("known", func(t *testing.T) {
		to := newStore(t, fast)
		report, err := to.Import(ctx, bytes.NewReader(bundle), ImportOptions{OnBank: func(BankInfo, io.Reader) error {
			t.Error("got a file, want none for a bank that is known")
			return nil
		}})
		if err != nil || report.Profiles != 5 || report.Banks != 0 {
			t.Errorf("got %+v, %v", report, err)
		}
	})
}

const bombMemory = 16 << 20

// TestBundleBomb is of bundles that are small and claim to be large.
func TestBundleBomb(t *testing.T) {
	to := newStore(t, fast)
	header := bundleHeader(Meta{Encoder: testMeta.Encoder, Tokenizer: testMeta.Tokenizer, MaxTokens: 128})
	bomb := func(write func(b *bundle.Writer) error) []byte {
		var buf bytes.Buffer
		b, err := bundle.NewWriter(&buf, bundleFormat, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(b.Frame(frameHeader, header), write(b), b.Close()); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	zeros := make([]byte, 1<<20)
	for name, b := range map[string][]byte{
		"zeros": bomb(func(b *bundle.Writer) (err error) {
			for range 100 {
				_, err = b.Write(zeros)
			}
			return err
		}),
		"frame without end": bomb(func(b *bundle.Writer) error {
			_, err := b.Write([]byte{frameProfile, 0xff, 0xff, 0xff, 0x1f})
			return err
		}),
		"huge frame": bomb(func(b *bundle.Writer) error {
			_, err := b.Write([]byte{frameProfile, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
			return err
		}),
		"bank file": bomb(func(b *bundle.Writer) error {
			info := append([]byte{1}, encodeBank(BankInfo{Digest: Digest{99}, N: 1, Blocks: 1})...)
			err := errors.Join(b.Frame(frameBank, info), b.Frame(frameBankFile, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}))
			for range 100 {
				_, werr := b.Write(zeros)
				err = errors.Join(err, werr)
			}
			return err
		}),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := to.Import(ctx, bytes.NewReader(b), ImportOptions{
				MaxBytes: 50 << 20,
				OnBank:   func(_ BankInfo, r io.Reader) error { _, err := io.Copy(io.Discard, r); return err },
			})
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrLimit) {
				t.Errorf("bundle of %d bytes: got %v, want ErrCorrupt or ErrLimit", len(b), err)
			}
			// All that was allocated, whether it was freed or not: mostly zstd's window and what is
			// copied.
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > bombMemory {
				t.Errorf("bundle of %d bytes: got %d bytes allocated, want at most %d", len(b), got, bombMemory)
			} else {
				t.Logf("bundle of %d bytes, %.1f MiB allocated", len(b), float64(got)/(1<<20))
			}
		})
	}
}
