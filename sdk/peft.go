package sdk

import (
	"context"
	"fmt"

	"github.com/xpeft/xpeft/bank"
)

// ExportPEFT is the LoRA that a profile's masks fold to, as the files adapter_config.json and
// adapter_model.safetensors of a folder from which peft loads it over the same model. The head is
// not among them. A profile whose masks are not over LoRAs is ErrUnsupported.
func (p *Folder) ExportPEFT(ctx context.Context, id string) (config, weights []byte, err error) {
	leave, err := p.enterToRead(ctx, id)
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
		return nil, nil, fmt.Errorf("%w: the profile has no masks, and so no LoRA", ErrUnsupported)
	}
	config, weights, err = bank.EncodePEFT(a, p.encoder.Blocks(), p.encoder.Config().ModelType)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return config, weights, nil
}
