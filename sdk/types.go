package sdk

import (
	"context"
	"iter"
	"time"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/store"
)

// Example is a text, or a pair of texts, with the label that the profile's user gives it.
// Limits.Example bounds text, pair and label together.
type Example struct {
	Text  string   `json:"text"`
	Pair  string   `json:"pair,omitempty"` // empty: a single text
	Label string   `json:"label,omitempty"`
	Value *float64 `json:"value,omitempty"` // instead of Label, for a profile that learns numbers: see Number
	// Labels instead of Label, in a folder of Config.Multi: all that the text is of, each once.
	// Empty but not nil: it is of none.
	Labels []string `json:"labels,omitzero"`

	// Rejected says that the text is not of Label, and not what it is of: see Folder.Rejected.
	Rejected bool `json:"rejected,omitempty"`
	// Weight is how much the example counts in training beside others; 0 means 1, at most 1,000.
	Weight float64 `json:"weight,omitempty"`
}

// Number is an example's Value, for a profile that learns numbers (NumberHead).
func Number(v float64) *float64 { return &v }

// StoredExample is an example as it is kept.
type StoredExample struct {
	Example           // its Weight is 1 where none was given; of a choice it has no label
	Choice  *Choice   `json:"choice,omitempty"` // what Chose was told; nil of others
	Time    time.Time `json:"time"`
	Learned bool      `json:"learned"` // a training has seen it
	// HeldOut says that shared heads and warm banks are not trained on it, but measured; profiles
	// learn from all.
	HeldOut bool `json:"held_out"`
}

// HeadKind says which head a profile uses.
type HeadKind string

const (
	// the folder's, frozen: a profile is digits, prior, bias and temperature, or masks, prior, bias
	// and affine
	SharedHead HeadKind = "shared"
	OwnHead    HeadKind = "own" // a linear head of the profile's own, C·(HeadWidth+1) floats in its record
	// NumberHead is a linear head of the profile's own that gives a number.
	NumberHead HeadKind = "number"
)

// LearnOptions of one Learn. Nil, and every zero field, means the default. In JSON they are what
// can be sent to another machine.
type LearnOptions struct {
	// Head of the profile. Default: what the profile has; for a new one, OwnHead if Labels is set,
	// else SharedHead.
	Head HeadKind `json:"head,omitempty"`
	// Labels of a profile's own label set; sets OwnHead. Stored examples with other labels are not
	// trained on. Default: the profile's, else the folder's.
	Labels []string `json:"labels,omitempty"`
	// AddLabels lets examples, stored ones too, bring labels that the profile does not have yet;
	// without it they are ErrUnknownLabel. Beside a shared head each gets a row of the profile's
	// own, of 4·(d+1) bytes with digits, and with masks 4·(D+1) where the folder has axes of D
	// values; the shared head is as it was until TrainHead takes the label in (see PendingLabels).
	AddLabels bool `json:"add_labels,omitempty"`
	// DropExamples stores none of the profile's examples and erases those that are: no replay at
	// the next Learn.
	DropExamples bool `json:"drop_examples,omitempty"`
	// Force installs the new revision whatever was measured.
	Force bool `json:"force,omitempty"`
	// Effort trades time for quality of masks; docs/accuracy.md has both. It changes the default
	// Config only, and nothing of digits. learner.EffortFast trains the masks of the upper half of
	// the bank's blocks over states that are computed once, and leaves the lower half without an
	// adapter; where the bank has one block, or training goes on from what was learned below, it
	// takes two fifths of the epochs instead.
	Effort learner.Effort `json:"-"`
	// Config of the training of masks; a profile of digits that is given one becomes one of masks.
	// Default, where masks are learned: learner.LastBlocks() over a bank in the last blocks only
	// and under a shared head that TrainHead made, else learner.Default(). K 0, as by default,
	// means that of the profile's last revision, for a new one the store's. Head, and Bias of an
	// own head, are set by the kind of head; Mode can only be learner.Masks. Patience does nothing:
	// no examples are held out that it could watch.
	Config *learner.Config `json:"-"`
	// ClassWeights is how much the examples of a label count in training beside the others', each
	// times its own Weight: for labels that are rare and must not be missed. Positive, at most
	// 1,000; a label that the profile does not have is ErrUnknownLabel.
	ClassWeights map[string]float64 `json:"class_weights,omitempty"`
	// Progress is called after each step of training masks on all examples, in the goroutine of
	// Learn; digits have none.
	Progress func(step, steps int, loss float32) `json:"-"`

	move       bool            // Rebase
	fresh      []store.Example // Move: the examples, as another folder has them
	labels     []string        // Move: of the profile there, its own rows' among them
	background bool            // of what was observed: only if that is still due
}

// Start says where a training began.
type Start string

const (
	StartFresh Start = "fresh" // nothing: masks begin at equal logits but for noise
	// the masks of the profile's last revision, where no example that it learned from is stored
	StartProfile Start = "profile"
)

// Score of a profile, or of a shared head, on examples that it had not learned from.
type Score struct {
	// examples it was measured on, in a folder of Config.Multi each once for each label; 0: not
	// measured
	N        int     `json:"n"`
	Accuracy float64 `json:"accuracy"` // 0 for numbers
	Loss     float64 `json:"loss"`     // mean cross-entropy, or mean squared error
}

// Report of a Learn.
type Report struct {
	Profile   string `json:"profile"`
	Installed bool   `json:"installed"` // false: the old revision was kept
	Reason    string `json:"reason"`    // what was decided, in words
	// Revision is now served; an old one that was kept gets a new number if DropExamples erased
	// something.
	Revision uint64 `json:"revision"`
	Start    Start  `json:"start,omitempty"` // where training began
	// Before is of what was served before; a label that it did not have counts as wrong; for a new
	// profile it is of the shared head with the label prior, for an own head of what it starts
	// from.
	Before Score `json:"before"`
	// After is of what was learned, on the same examples, even if the label prior serves instead.
	After    Score `json:"after"`
	Examples int   `json:"examples"` // learned from, stored ones included
	// Moved: from masks to digits, from digits to masks, by Rebase, or to what the engine trains,
	// from adapters in more blocks or over a bank that it cannot train over.
	Moved bool `json:"moved,omitempty"`
	// Labels is how each label fares out of fold, and MacroF1 the mean of their F1; none of
	// numbers.
	Labels []LabelReport `json:"labels,omitempty"`
	// Sure says from which probability on nearly all answers are right; none of numbers, and none
	// in a folder of Config.Multi.
	Sure    Sure    `json:"sure"`
	MacroF1 float64 `json:"macro_f1,omitempty"`
	// Truncated is how many of these examples are longer than MaxTokens, or the folder's windows of
	// it: their ends were not read.
	Truncated int `json:"truncated,omitempty"`
	// Unknown is the share of their tokens that the tokenizer does not know: characters of another
	// script, say. With many, texts look alike to the model.
	Unknown float64 `json:"unknown,omitempty"`
	Waiting int     `json:"waiting"` // examples that came meanwhile, and wait for the next training
	Steps   int     `json:"steps"`   // 0 of digits
	Seconds float64 `json:"seconds"` // that it took, waiting for other Learns included
	Engine  string  `json:"engine"`  // what computed, native or torch, and on which
	Device  string  `json:"device"`  // cpu or cuda
	Bytes   int     `json:"bytes"`   // of the record that is now served, frame and own head included
	// MaskBytes are those of the masks in the record, 2·⌈N/8⌉·L, or of the rows of digits.
	MaskBytes int `json:"mask_bytes"`
	// Losses has one a step of the training on all examples; none of digits.
	Losses []float32 `json:"losses,omitempty"`
	// Order is what was learned from choices; nil: no choice was new.
	Order *OrderReport `json:"order,omitempty"`
	// Prequential is how often what was served was right about examples before anything had learned
	// from them: over the last hundred or so. None in a folder of Config.Multi.
	Prequential Prequential `json:"prequential"`
}

// Fallback says what answers for a profile that does not exist. One that was only observed answers
// itself: by its shared head over the bare encoder, with the prior of its labels.
type Fallback string

const (
	FallbackError Fallback = ""     // ErrProfileNotFound
	FallbackBase  Fallback = "base" // the bare encoder and the shared head
)

// Source says what served an answer.
type Source string

const (
	SourceProfile Source = "profile"
	SourceBase    Source = "base"
	// SourceTaught is a stored example of the profile, which has the very text: what was corrected
	// is answered so. Options.NoTaught says no.
	SourceTaught Source = "taught"
)

// PredictOptions of one Predict. Nil, and every zero field, means the default.
type PredictOptions struct {
	Pair     string   // the second text of a pair; empty: a single text
	Base     bool     // the bare encoder and the shared head answer, whatever the profile is
	Fallback Fallback // what answers if the profile does not exist
	NoTaught bool     // the model answers, whatever is stored of the text
	// MinProbability leaves Prediction.Label empty where the most probable label has less, 0 to 1.
	// A taught label stays, and so does Prediction.Model. In a folder of Config.Multi it is from
	// which probability on a label is among Prediction.Labels; default Config.Thresholds, or 0.5.
	MinProbability float64
	// Thresholds are MinProbability of single labels, above 0 and below 1, in a folder of
	// Config.Multi. Elsewhere, and of other numbers, it is ErrConfig, and of no such label
	// ErrUnknownLabel.
	Thresholds map[string]float64
}

// Request is one row of a PredictBatch. An empty Profile is ErrID, unless Base is set. The other
// fields are those of PredictOptions.
type Request struct {
	Profile string
	Text    string

	Pair           string
	Base           bool
	Fallback       Fallback
	NoTaught       bool
	MinProbability float64
	Thresholds     map[string]float64
}

// Probability of a label.
type Probability struct {
	Label string  `json:"label"`
	P     float32 `json:"p"`
}

// Prediction is the answer to one Request.
type Prediction struct {
	Profile string `json:"profile"`
	// Label is the most probable, if no MinProbability is above it; with SourceTaught the stored
	// one, of the head or not.
	Label  string  `json:"label,omitempty"`
	Model  string  `json:"model,omitempty"`  // the most probable label
	Margin float32 `json:"margin,omitempty"` // the largest probability minus the second; 1 of a single label
	// Labels are of a folder of Config.Multi, and then there is no Label, Model or Margin: those
	// that are as probable as Thresholds or MinProbability say, in the head's order, or with
	// SourceTaught the stored ones, sorted. Empty but not nil: none; nil in other folders.
	Labels []string `json:"labels,omitzero"`
	// Probabilities are of all labels, in the head's order, whatever the source; they add up to 1,
	// but in a folder of Config.Multi, where each is of its label alone.
	Probabilities []Probability `json:"probabilities,omitempty"`
	// Value is of a NumberHead, which has no labels, no margin and no taught answers; nil of
	// others.
	Value    *float64 `json:"value,omitempty"`
	Source   Source   `json:"source,omitempty"`
	Revision uint64   `json:"revision"` // the profile's; with SourceBase 0
	// Truncated says that the text is longer than MaxTokens, or the folder's windows of it: its end
	// was not read.
	Truncated bool `json:"truncated,omitempty"`
	// Err is this row's own, with no answer beside it; the other rows are answered.
	Err error `json:"-"`
}

// ProfileInfo is what is known of a profile without its examples.
type ProfileInfo struct {
	ID       string `json:"profile"`
	Revision uint64 `json:"revision"`
	// Bank is a digest, of the axes for a profile of digits; empty: nothing is learned yet, or the
	// prior alone serves.
	Bank     string   `json:"bank"`
	Head     HeadKind `json:"head"`
	N        int      `json:"n"`        // of the bank
	K        int      `json:"k"`        // selected in each row
	Blocks   int      `json:"blocks"`   // of masks
	Rows     int      `json:"rows"`     // of digits: labels that have one
	Examples int      `json:"examples"` // learned from
	// Before and After are the scores of the last Learn; nil: not measured.
	Before    *float32  `json:"before"`
	After     *float32  `json:"after"`
	Bytes     int       `json:"bytes"` // the stored record
	MaskBytes int       `json:"mask_bytes"`
	Created   time.Time `json:"created"`
	Updated   time.Time `json:"updated"`
	Labels    []string  `json:"labels"`

	// Those below are of now, in the History of a profile too.
	Waiting     int         `json:"waiting"` // examples that no training has seen
	Private     bool        `json:"private"` // see Folder.SetPrivate
	Prequential Prequential `json:"prequential"`
}

// Service is what a program asks of people's profiles, whether they are in one Folder or on many
// nodes (package fleet). Methods do what those of Folder of the same name say.
type Service interface {
	Learn(ctx context.Context, id string, examples []Example, o *LearnOptions) (*Report, error)
	Observe(ctx context.Context, id string, e Example) error
	Confirmed(ctx context.Context, id, text, label string) error
	Rejected(ctx context.Context, id, text, label string) error
	ForgetExample(ctx context.Context, id, text string, o *ForgetExampleOptions) error
	Forget(ctx context.Context, id string) error
	SetPrivate(ctx context.Context, id string, private bool) error

	Predict(ctx context.Context, id, text string, o *PredictOptions) (Prediction, error)
	PredictBatch(ctx context.Context, reqs []Request) ([]Prediction, error)
	Ask(ctx context.Context, id string, o *AskOptions) ([]Question, error)
	Labels(ctx context.Context) ([]string, error)

	Profile(ctx context.Context, id string) (ProfileInfo, error)
	Profiles(ctx context.Context, o *ProfilesOptions) iter.Seq2[ProfileInfo, error]
	Examples(ctx context.Context, id string) iter.Seq2[StoredExample, error]
	PersonData(ctx context.Context, id string) (*PersonData, error)

	Drain(ctx context.Context) error
	Close() error
}

var _ Service = (*Folder)(nil)
