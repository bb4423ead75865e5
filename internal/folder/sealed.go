package folder

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	"github.com/xpeft/xpeft/store"
)

// An encrypted bundle is an age file around a bundle: whoever takes it in
// decrypts before the store reads, so that package store knows no age, and who
// uses it alone links none.

// ErrEncrypted says that a bundle is encrypted and that none of the identities
// opens it.
var ErrEncrypted = errors.New("folder: bundle is encrypted")

// ageMagic begins every age file that is not text.
const ageMagic = "age-encryption.org/"

// maxAgeHeader bounds what age reads before an identity fits: it would take a
// line of any length. It is room for some ten thousand recipients.
const maxAgeHeader = 1 << 20

// decrypted returns the bundle in r, which may be encrypted or not.
func decrypted(r io.Reader, identities []age.Identity) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 1<<16) // large enough for the store to use it as it is
	if start, err := b.Peek(len(ageMagic)); string(start) != ageMagic {
		if err != nil && err != io.EOF {
			return nil, err
		}
		return b, nil
	}
	if len(identities) == 0 {
		return nil, fmt.Errorf("%w: no identity was given", ErrEncrypted)
	}
	s := &sealedReader{r: b, left: maxAgeHeader}
	plain, err := age.Decrypt(s, identities...)
	var none *age.NoIdentityMatchError
	switch {
	case s.err != nil:
		return nil, s.err
	case errors.As(err, &none):
		return nil, fmt.Errorf("%w: none of the identities opens it", ErrEncrypted)
	case err != nil:
		return nil, damaged(err)
	}
	s.left = -1
	return &plainReader{plain, s}, nil
}

func damaged(err error) error {
	return fmt.Errorf("%w: encrypted bundle: %w", store.ErrCorrupt, err)
}

// sealedReader is what age reads. It keeps the error of the source, to tell it
// from age's own, and bounds the header.
type sealedReader struct {
	r    io.Reader
	left int   // of the header; negative: it was read
	err  error // not io.EOF
}

func (s *sealedReader) Read(p []byte) (int, error) {
	if s.left == 0 {
		s.err = fmt.Errorf("%w: header of the encrypted bundle is over %d bytes", store.ErrLimit, maxAgeHeader)
		return 0, s.err
	}
	if s.left > 0 {
		p = p[:min(len(p), s.left)]
	}
	n, err := s.r.Read(p)
	if s.left > 0 {
		s.left -= n
	}
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// plainReader is what age decrypted: authentic, piece by piece, and at io.EOF
// only once the last piece was read and nothing came after it.
type plainReader struct {
	r      io.Reader
	source *sealedReader
}

func (p *plainReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	switch {
	case err == nil, err == io.EOF:
		return n, err
	case p.source.err != nil:
		return n, p.source.err
	}
	return n, damaged(err)
}

// ParseRecipient reads the public half of a key pair, "age1…". Its error does
// not repeat a private half that was given by mistake.
func ParseRecipient(s string) (age.Recipient, error) {
	if strings.HasPrefix(strings.ToUpper(s), "AGE-SECRET-KEY-") {
		return nil, errors.New("this is an identity, which is secret: the recipient is its public half, age1…")
	}
	list, err := age.ParseRecipients(strings.NewReader(s))
	if err != nil {
		return nil, fmt.Errorf("recipient %q is not one of age: age1…", s)
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("recipient %q: got %d recipients, want one", s, len(list))
	}
	return list[0], nil
}

// ParseIdentities reads private halves, as age-keygen writes them: one a line,
// besides comments. Its error has none of the text, where age's has a line.
func ParseIdentities(r io.Reader) ([]age.Identity, error) {
	list, err := age.ParseIdentities(r)
	if err != nil {
		return nil, errors.New("not identities of age, a line AGE-SECRET-KEY-1… each")
	}
	return list, nil
}
