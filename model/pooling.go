package model

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Pooling says how the states of a text's tokens become one vector.
type Pooling uint8

const (
	PoolMean   Pooling = iota + 1 // the mean over the text's tokens, [CLS] and [SEP] included
	PoolCLS                       // the state of [CLS]
	PoolPooler                    // tanh(W·[CLS] + b), the checkpoint's pooler
)

func (p Pooling) String() string {
	switch p {
	case PoolMean:
		return "mean"
	case PoolCLS:
		return "cls"
	case PoolPooler:
		return "pooler"
	}
	return fmt.Sprintf("Pooling(%d)", uint8(p))
}

// readPooling returns what the pooling's config.json in a folder of dir's says, 0 if there is no
// such file.
func readPooling(dir fs.FS, sub string, hidden int) (Pooling, error) {
	name := path.Join(sub, "config.json")
	b, err := readOptional(dir, name, maxConfigFile)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	if b == nil {
		return 0, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		return 0, checkpointf("%s: %v", name, err)
	}
	for _, key := range []string{"word_embedding_dimension", "embedding_dimension"} {
		if got, ok := fields[key]; ok && got != float64(hidden) {
			return 0, checkpointf("%s: %s: got %v, want hidden_size %d", name, key, got, hidden)
		}
	}
	modes := poolingModes(fields)
	switch {
	case slices.Equal(modes, []string{"mean_tokens"}), slices.Equal(modes, []string{"mean"}):
		return PoolMean, nil
	case slices.Equal(modes, []string{"cls_token"}), slices.Equal(modes, []string{"cls"}):
		return PoolCLS, nil
	}
	return 0, unsupportedf("%s: pooling %q, want mean_tokens or cls_token alone", name, modes)
}

// poolingModes lists the modes that are on. The older spelling has a flag for each, the newer one
// field with a word.
func poolingModes(fields map[string]any) []string {
	var modes []string
	for key, v := range fields {
		if mode, ok := strings.CutPrefix(key, "pooling_mode_"); ok && v != false && v != nil {
			modes = append(modes, mode)
		} else if key == "pooling_mode" && v != nil {
			modes = append(modes, fmt.Sprint(v))
		}
	}
	slices.Sort(modes)
	return modes
}
