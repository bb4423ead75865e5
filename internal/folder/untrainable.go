package folder

import (
	"fmt"
	"iter"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/store"
)

// Untrainable lists the profiles that an engine which trains adapters in the last so many blocks,
// and LoRAs in so many, cannot train as they are: their adapters do something in a block below.
// They are served all the same. It reads the records of profiles over banks with more blocks, and
// no others.
func Untrainable(st *store.Store, dir string, blocks, lora int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		deep, err := deepBanks(st, dir, blocks, lora)
		if err != nil {
			yield("", err)
			return
		}
		if len(deep) == 0 {
			return
		}
		var of []store.Filter
		for ref := range deep {
			of = append(of, store.Filter{Bank: ref})
		}
		for rec, err := range st.Profiles("", of...) {
			if err != nil {
				if !yield("", err) {
					return
				}
				continue
			}
			below, err := deep[rec.Bank].below(rec, blocks)
			if (below || err != nil) && !yield(rec.ID, err) {
				return
			}
		}
	}
}

// deepBank is a bank with more blocks than an engine trains.
type deepBank struct {
	props  bank.Properties
	affine []float32 // LN_b's default
}

func deepBanks(st *store.Store, dir string, blocks, lora int) (map[uint32]*deepBank, error) {
	infos, err := st.Banks()
	if err != nil {
		return nil, err
	}
	deep := map[uint32]*deepBank{}
	for _, info := range infos {
		p, err := Properties(info)
		if err != nil {
			return nil, err
		}
		if p.Targets == 0 && p.Blocks <= blocks || p.Targets != 0 && p.Blocks <= lora {
			continue
		}
		b := &deepBank{props: p}
		switch p.Origin {
		case bank.HeadAxes, bank.JointAxes:
			continue
		case bank.Random:
			b.affine = bank.DefaultAffine(p)
		default:
			f, err := OpenBank(dir, info)
			if err != nil {
				return nil, err
			}
			b.affine = f.Affine()
			if err := f.Close(); err != nil {
				return nil, err
			}
		}
		deep[info.Ref] = b
	}
	return deep, nil
}

// below says whether a profile's adapter does something below the last blocks.
func (b *deepBank) below(rec *store.Profile, blocks int) (bool, error) {
	if b == nil || rec.Mask == nil { // only its codes are over it
		return false, nil
	}
	if !b.props.NormB || rec.Affine == nil {
		return true, nil
	}
	affine, err := b.props.DecodeAffine(rec.Affine, b.affine)
	if err != nil {
		return false, fmt.Errorf("profile %q: %w", rec.ID, err)
	}
	return !b.props.OffBelow(affine, blocks), nil
}
