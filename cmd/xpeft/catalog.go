package main

import (
	"fmt"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// catalog resolves a profile's refs to banks and heads, each read once.
type catalog struct {
	st    *store.Store
	banks map[uint32]string
	heads map[uint32]*model.Head
}

func newCatalog(st *store.Store) *catalog {
	return &catalog{st, map[uint32]string{}, map[uint32]*model.Head{}}
}

func (c *catalog) bank(ref uint32) (string, error) {
	if digest, ok := c.banks[ref]; ok {
		return digest, nil
	}
	info, err := c.st.Bank(ref)
	if err != nil {
		return "", fmt.Errorf("bank %d: %w", ref, err)
	}
	c.banks[ref] = info.Digest.String()
	return c.banks[ref], nil
}

// head of a profile, and its kind: see folder.HeadOf.
func (c *catalog) head(p *store.Profile) (*model.Head, string, error) {
	return folder.HeadOf(p, func(ref uint32) (*model.Head, error) {
		if h, ok := c.heads[ref]; ok {
			return h, nil
		}
		data, err := c.st.Head(ref)
		var h *model.Head
		if err == nil {
			h, err = folder.DecodeHead(data)
		}
		if err != nil {
			return nil, fmt.Errorf("head %d: %w", ref, err)
		}
		c.heads[ref] = h
		return h, nil
	})
}

func (c *catalog) row(p *store.Profile) (profileRow, error) {
	row := profileRow{
		Profile: p.ID, Revision: p.Revision, MaskBytes: p.MaskBytes(),
		Examples: p.Examples, Before: folder.Measured(p.Before), After: folder.Measured(p.After),
		Created: p.Created.UTC(), Updated: p.Updated.UTC(),
	}
	ref := p.Bank
	if p.Mask != nil {
		row.N, row.K, row.Blocks = p.Mask.N, p.Mask.K, p.Mask.Blocks
	}
	if code, rows := folder.LabelRows(p.Codes); code != nil && (rows > 0 || p.Mask == nil) {
		ref, row.N, row.K, row.Rows = code.Bank, 2*code.K, code.K, rows
	}
	if ref != 0 {
		var err error
		if row.Bank, err = c.bank(ref); err != nil {
			return profileRow{}, fmt.Errorf("profile %q: %w", p.ID, err)
		}
	}
	var err error
	if _, row.Head, err = c.head(p); err != nil {
		return profileRow{}, fmt.Errorf("profile %q: %w", p.ID, err)
	}
	record, err := store.EncodeProfile(p)
	if err != nil {
		return profileRow{}, err
	}
	row.Bytes = len(record)
	return row, nil
}
