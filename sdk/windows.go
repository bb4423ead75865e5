package sdk

import (
	"crypto/sha256"
	"fmt"

	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// MaxWindows bounds Config.Windows: all windows of a text are in memory at once, in one pass.
const MaxWindows = 32

// read is what the model reads of a text or pair: MaxTokens of it, in each of the folder's windows.
func (p *Folder) read(dst *model.Encoding, text, pair string) {
	p.tokenizer.EncodeWindows(dst, text, pair, p.maxTokens, p.options.windows)
}

// readerDigest is of all that decides what read returns; of one window it is the tokenizer's. That
// labels are not exclusive is in it as well, so that earlier versions, which would answer by a
// softmax, refuse the folder and its bundles.
func (m opened) readerDigest(maxTokens, windows int, multi bool) store.Digest {
	d := m.tokenizer.Digest(maxTokens)
	if windows > 1 {
		d = sha256.Sum256(fmt.Appendf(d[:], "windows=%d\n", windows))
	}
	if multi {
		d = sha256.Sum256(append(d[:], "multi\n"...))
	}
	return d
}

// checkWindows refuses what is not trained on several windows: masks over a pooled embedding that
// is no mean, of which a gradient would reach the first window only.
func (c Config) checkWindows(pooling model.Pooling) error {
	_, warm := c.Bank.(WarmBank)
	if c.Windows > 1 && (c.Masks || warm) && pooling != model.PoolMean {
		return fmt.Errorf("%w: masks over texts of several windows, for a model that pools by %v", ErrUnsupported,
			pooling)
	}
	return nil
}
