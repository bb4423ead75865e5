package eval

import "github.com/xpeft/xpeft/bitmask"

// runFormat is Run.Format.
const runFormat = 1

// profilesTask is Run.Task of people, where it is no task of GLUE.
const profilesTask = "profiles"

// Run is what one mode did on one split of the profiles with one seed: one JSON file.
type Run struct {
	Format int    `json:"format"` // 1
	Data   string `json:"data"`   // the first 16 hex digits of the input's SHA-256
	Task   string `json:"task"`   // "profiles", or a GLUE task's name
	Mode   string `json:"mode"`
	Split  int    `json:"split"`
	Seed   int    `json:"seed"`
	Shots  int    `json:"shots,omitempty"` // most examples a profile learned from; 0: all of its training part

	Setting string `json:"setting"` // the setting used, in words
	// all settings tried inside the training profiles, the same number for every mode
	Tried []Trial `json:"tried,omitempty"`

	N         int  `json:"n,omitempty"` // of the bank
	K         int  `json:"k,omitempty"`
	Soft      bool `json:"soft,omitempty"`
	OneMask   bool `json:"one_mask,omitempty"`
	Blocks    int  `json:"blocks,omitempty"`    // that have masks
	Trainable int  `json:"trainable,omitempty"` // trained values a profile

	Profiles []Profile `json:"profiles"` // one for a GLUE task
	Losses   []float32 `json:"losses,omitempty"`
	Started  string    `json:"started"` // RFC 3339
	Seconds  float64   `json:"seconds"` // wall time of the whole run
}

// Trial is one setting, measured by cross-validation inside the training profiles.
type Trial struct {
	Setting string  `json:"setting"`
	Score   float64 `json:"score"`
}

// Profile is how well one profile was served.
type Profile struct {
	ID       string `json:"id"`
	Train    int    `json:"train"`
	Test     int    `json:"test"`
	Majority string `json:"majority,omitempty"` // the most frequent label of its training part
	// accuracy, macro_f1; for tasks also f1, mcc, pearson, spearman
	Metrics map[string]float64 `json:"metrics"`
	Bytes   int                `json:"bytes"`   // of its stored record, or of what the mode would store
	Seconds float64            `json:"seconds"` // to learn
	Mask    *Mask              `json:"mask,omitempty"`
}

// Mask is a profile's, as bytes.
type Mask struct {
	N      int    `json:"n"`
	K      int    `json:"k"`
	Blocks int    `json:"blocks"`
	Rows   []byte `json:"rows"` // bitmask.Mask.Bytes: all rows of Down, then all of Up
}

// Bits decodes it.
func (m *Mask) Bits() (*bitmask.Mask, error) {
	return bitmask.Decode(m.N, m.K, m.Blocks, m.Rows)
}
