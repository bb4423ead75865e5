package sdk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// defaultBank is the bank of new profiles.
func (p *Folder) defaultBank() (uint32, error) {
	ref, err := p.metaNumber(metaBank, "default bank", "the default bank's ref")
	return ref, corrupt("default bank", err)
}

// metaNumber reads one of the store's values of four bytes; a value that is not there is
// ErrNotFound of the store. what and which name it in errors.
func (p *Folder) metaNumber(key, what, which string) (uint32, error) {
	data, err := p.store.GetMeta(key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return 0, err
	case err != nil:
		return 0, corrupt(what, err)
	case len(data) != 4:
		return 0, fmt.Errorf("%w: %s has %d bytes", ErrCorrupt, which, len(data))
	}
	return binary.LittleEndian.Uint32(data), nil
}

// setDefaultBank makes a bank that of new profiles.
func (p *Folder) setDefaultBank(ctx context.Context, ref uint32) error {
	return p.store.PutMeta(ctx, metaBank, binary.LittleEndian.AppendUint32(nil, ref))
}

// openDefaultBank opens it.
func (p *Folder) openDefaultBank() (uint32, *bank.Bank, error) {
	ref, err := p.defaultBank()
	if err != nil {
		return 0, nil, err
	}
	b, err := p.bank(ref)
	return ref, b, err
}

// newcomersBank is the bank of new profiles of masks, open: the default one or, if the engine
// cannot train over that, its own.
func (p *Folder) newcomersBank() (uint32, *bank.Bank, error) {
	ref, b, err := p.openDefaultBank()
	if err != nil || p.trains(b) {
		return ref, b, err
	}
	if ref, err = p.addRandomBank(context.Background(), p.engineBank()); err != nil {
		return 0, nil, err
	}
	b, err = p.bank(ref)
	return ref, b, err
}

// trains says whether the engine can train masks over a bank: of a deeper one those of the last
// blocks alone, if LN_b can turn off the adapters below.
func (p *Folder) trains(b *bank.Bank) bool {
	props := b.Properties()
	if props.Targets != 0 {
		return props.Blocks <= p.engine.TrainsLoRA()
	}
	return props.Blocks <= p.engine.Trains() || props.NormB
}

// engineBank is a bank that the engine can train over whatever the default one is: Create's
// default, in the last blocks.
func (p *Folder) engineBank() bank.Properties {
	return RandomBank{N: defaultN, Seed: defaultSeed, Blocks: p.engine.Trains()}.properties(p.encoder)
}

// kOver is how many ones a row of a new profile over a bank has. The folder's K was chosen for its
// own banks, and not for the engine's.
func (p *Folder) kOver(b *bank.Bank) int {
	if _, own, err := p.openDefaultBank(); err == nil && own != b && b.Properties() == p.engineBank() {
		return defaultK(defaultN)
	}
	return min(p.k, b.Properties().N)
}

// newcomersDigits says whether new profiles are codes of digits: the folder has axes, and no bank
// that was trained or imported is to be used instead.
func (p *Folder) newcomersDigits() (bool, error) {
	if p.axes == nil {
		return false, nil
	}
	_, b, err := p.openDefaultBank()
	return err == nil && (b.Properties().Origin == bank.Random || !p.trains(b)), err
}

// toLastBlock makes a random default bank in all blocks the same one in the last.
func (p *Folder) toLastBlock(ctx context.Context) error {
	_, b, err := p.openDefaultBank()
	if err != nil {
		return err
	}
	props := b.Properties()
	if props.Origin != bank.Random || props.Blocks < p.encoder.Blocks() || props.Blocks == 1 {
		return nil
	}
	props.Blocks = 1
	ref, err := p.addRandomBank(ctx, props)
	if err != nil {
		return err
	}
	return p.setDefaultBank(ctx, ref)
}

// addRandomBank registers a random bank, once.
func (p *Folder) addRandomBank(ctx context.Context, props bank.Properties) (uint32, error) {
	info, err := folder.RandomInfo(props)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if known, err := p.store.BankByDigest(info.Digest); err == nil {
		return known.Ref, nil
	}
	return p.store.PutBank(ctx, info)
}

func (p *Folder) defaultBankDigest() (string, error) {
	_, b, err := p.newcomersBank()
	if err != nil {
		return "", err
	}
	return b.Digest().String(), nil
}
