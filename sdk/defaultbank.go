package sdk

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/folder"
)

// defaultBank is the bank of new profiles.
func (p *SDK) defaultBank() (uint32, error) {
	data, err := p.store.GetMeta(metaBank)
	if err != nil {
		return 0, corrupt("default bank", err)
	}
	if len(data) != 4 {
		return 0, fmt.Errorf("%w: the default bank's ref has %d bytes", ErrCorrupt, len(data))
	}
	return binary.LittleEndian.Uint32(data), nil
}

// setDefaultBank makes a bank that of new profiles.
func (p *SDK) setDefaultBank(ctx context.Context, ref uint32) error {
	return p.store.PutMeta(ctx, metaBank, binary.LittleEndian.AppendUint32(nil, ref))
}

// newcomersBank is the bank of new profiles, open.
func (p *SDK) newcomersBank() (uint32, *bank.Bank, error) {
	ref, err := p.defaultBank()
	if err != nil {
		return 0, nil, err
	}
	b, err := p.bank(ref)
	return ref, b, err
}

// newcomersDigits says whether new profiles are codes of digits: the folder has axes, and no bank that was trained or imported is to be used instead.
func (p *SDK) newcomersDigits() (bool, error) {
	if p.axes == nil {
		return false, nil
	}
	_, b, err := p.newcomersBank()
	return err == nil && b.Properties().Origin == bank.Random, err
}

// toLastBlock makes a random default bank in all blocks the same one in the last.
func (p *SDK) toLastBlock(ctx context.Context) error {
	_, b, err := p.newcomersBank()
	if err != nil {
		return err
	}
	props := b.Properties()
	if props.Origin != bank.Random || props.Blocks < p.encoder.Blocks() || props.Blocks == 1 {
		return nil
	}
	props.Blocks = 1
	info, err := folder.RandomInfo(props)
	if err != nil {
		return err
	}
	ref, err := p.store.PutBank(ctx, info)
	if err != nil {
		return err
	}
	return p.setDefaultBank(ctx, ref)
}

func (p *SDK) defaultBankDigest() (string, error) {
	_, b, err := p.newcomersBank()
	if err != nil {
		return "", err
	}
	return b.Digest().String(), nil
}
