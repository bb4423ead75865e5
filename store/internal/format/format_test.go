package format

import (
	"errors"
	"testing"
	"time"
)

// TestSeal: a sealed value is what was sealed under the same tag and key, and of nothing else.
func TestSeal(t *testing.T) {
	value := Seal('V', []byte("key"), []byte("payload"))
	if got, err := Unseal('V', []byte("key"), value); string(got) != "payload" || err != nil {
		t.Errorf("got %q, %v, want the payload", got, err)
	}
	for what, unseal := range map[string]func() ([]byte, error){
		"another tag": func() ([]byte, error) { return Unseal('W', []byte("key"), value) },
		"another key": func() ([]byte, error) { return Unseal('V', []byte("kez"), value) },
		"cut":         func() ([]byte, error) { return Unseal('V', []byte("key"), value[:3]) },
	} {
		if got, err := unseal(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %q, %v, want ErrCorrupt", what, got, err)
		}
	}
}

// TestDecoder reads each kind of field, and refuses what no encoder writes. After a fault every
// field is zero.
func TestDecoder(t *testing.T) {
	now := time.UnixMicro(7)
	b := AppendBytes(AppendUvarints(nil, 300, uint64(2*Micros(now))), "text") // a varint of m is a uvarint of 2m
	d := Decoder{B: b}
	n, when, text := d.Uint(300, "n"), d.Time(d.Varint("time"), "time"), d.Bytes(4, "text")
	if err := d.End(); err != nil || n != 300 || !when.Equal(now) || string(text) != "text" {
		t.Errorf("got %d, %v, %q, %v, want 300, %v and text", n, when, text, err, now)
	}
	for what, read := range map[string]func(d *Decoder){
		"left over":   func(d *Decoder) { d.Uvarint("n") },
		"over limit":  func(d *Decoder) { d.Uint(299, "n") },
		"cut off":     func(d *Decoder) { d.Digest("digest") },
		"long form":   func(d *Decoder) { d.B = []byte{0x80, 0}; d.Uvarint("n") },
		"no time":     func(d *Decoder) { d.B = nil; d.Time(zeroMicros, "time") },
		"fault above": func(d *Decoder) { d.Fail("first"); d.Fail("second") },
	} {
		d := Decoder{B: b}
		read(&d)
		if err := d.End(); !errors.Is(err, ErrCorrupt) || d.Uvarint("n") != 0 {
			t.Errorf("%s: got %v and %x left, want ErrCorrupt and nothing", what, err, d.B)
		}
	}
}
