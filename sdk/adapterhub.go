package sdk

import (
	"context"
	"fmt"

	"github.com/xpeft/xpeft/bank"
)

// ExportAdapterHub is the adapter that a profile's masks fold to, as the files adapter_config.json
// and adapter.safetensors of a folder from which the `adapters` library loads it. The head, which
// ExportSafetensors has, is not among them. The library can hold adapters of banks without LN_b, as
// those that were imported from it, in BERT models; another, and a profile without masks, is
// ErrUnsupported.
func (p *Folder) ExportAdapterHub(ctx context.Context, id string) (config, weights []byte, err error) {
	leave, err := p.enterToRead(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	s, err := p.snapshot(id)
	if err != nil {
		return nil, nil, err
	}
	if kind := p.encoder.Config().ModelType; kind != "" && kind != "bert" {
		return nil, nil, fmt.Errorf("%w: an adapter of a model of type %s, want bert", ErrUnsupported, kind)
	}
	a, err := s.fold()
	if err != nil {
		return nil, nil, err
	}
	if a == nil {
		return nil, nil, fmt.Errorf("%w: the profile has no masks, and so no adapter", ErrUnsupported)
	}
	if config, weights, err = bank.EncodeAdapterHub(a, p.encoder.Blocks()); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return config, weights, nil
}
