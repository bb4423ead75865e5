package sdk

import (
	"context"
	"fmt"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/model"
)

// ExportAdapterHub is the adapter that a profile's masks fold to, as the files adapter_config.json
// and adapter.safetensors of a folder from which the `adapters` library loads it. The head, which
// ExportSafetensors has, is not among them. The library can hold adapters of banks without LN_b, as
// those that were imported from it, in BERT models; another, and a profile without masks, is
// ErrUnsupported.
func (p *Folder) ExportAdapterHub(ctx context.Context, id string) (config, weights []byte, err error) {
	var fault error
	if kind := p.encoder.Config().ModelType; kind != "" && kind != "bert" {
		fault = fmt.Errorf("%w: an adapter of a model of type %s, want bert", ErrUnsupported, kind)
	}
	return p.encodeAdapter(ctx, id, fault, func(a *model.Adapter) ([]byte, []byte, error) {
		return bank.EncodeAdapterHub(a, p.encoder.Blocks())
	})
}

// encodeAdapter has another library's files written of what a profile's masks fold to, unless that
// has a fault.
func (p *Folder) encodeAdapter(ctx context.Context, id string, fault error,
	encode func(*model.Adapter) ([]byte, []byte, error)) (config, weights []byte, err error) {
	leave, err := p.enter(ctx, p.options.Limits.checkID(id), fault)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	s, err := p.snapshot(id)
	if err != nil {
		return nil, nil, err
	}
	a, err := s.fold()
	if err != nil {
		return nil, nil, err
	}
	if a == nil {
		return nil, nil, fmt.Errorf("%w: the profile has no masks, and so no adapter", ErrUnsupported)
	}
	if config, weights, err = encode(a); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return config, weights, nil
}

// ExportPEFT is the LoRA that a profile's masks fold to, as the files adapter_config.json and
// adapter_model.safetensors of a folder from which peft loads it over the same model. The head is
// not among them. A profile whose masks are not over LoRAs is ErrUnsupported.
func (p *Folder) ExportPEFT(ctx context.Context, id string) (config, weights []byte, err error) {
	return p.encodeAdapter(ctx, id, nil, func(a *model.Adapter) ([]byte, []byte, error) {
		return bank.EncodePEFT(a, p.encoder.Blocks(), p.encoder.Config().ModelType)
	})
}
