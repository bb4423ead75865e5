package bank

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/model"
)

var update = flag.Bool("update", false, "write testdata's bank files, once for each new version of the format")

// TestOldVersionsStayReadable opens the files that versions 1 and 2 wrote: of bottleneck
// adapters, and of LoRAs. They are never written again.
func TestOldVersionsStayReadable(t *testing.T) {
	f16 := tinyWarm()
	f16.DType, f16.Bias, f16.NormB, f16.Activation = F16, false, true, Identity
	lora := Properties{Origin: Warm, N: 3, Blocks: 2, Hidden: 5, Bottleneck: 4, DType: F16,
		Targets: model.Query | model.Value}
	tests := []struct {
		file   string
		p      Properties
		digest string
	}{
		{"v1-f32-bias.bank", tinyWarm(), "cb5dca8ccfb5bc19759713f395c7f487cb1804bcd654e1f6c7241e13dce7694b"},
		{"v1-f16.bank", f16, "5156c617fb9f5c2b64d80e447cf44d35ec1441fd91be49bf8ed5fbf90091ff79"},
		{"v2-lora.bank", lora, "618189ed9dea4a0d5d7ae268eb4d9566606c3c85c39861cbd8c00f6404ad59b8"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			path := filepath.Join("testdata", tt.file)
			written, d := encodeBank(t, tt.p, nil, testRows(tt.p))
			if *update {
				writeFile(t, path, written)
			}
			stored, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := readAll(stored); err != nil {
				t.Errorf("stored: %v", err)
			}
			if d.String() != tt.digest {
				t.Errorf("digest: got %v, want %v", d, tt.digest)
			}
			f, err := Decode(stored)
			if err != nil {
				t.Fatal(err)
			}
			if f.Digest().String() != tt.digest {
				t.Errorf("stored digest: got %v, want %v", f.Digest(), tt.digest)
			}
			checkRows(t, f, testRows(tt.p))
			// As long as these are the versions that are written.
			if !bytes.Equal(stored, written) {
				t.Error("what Write writes differs from the stored file")
			}
		})
	}
}
