package sdk

import (
	"time"

	"github.com/xpeft/xpeft/learner"
)

// Example is a text, or a pair of texts, with the label that the profile's user gives it.
// Limits.Example bounds text, pair and label together.
type Example struct {
	Text  string
	Pair  string // empty: a single text
	Label string
	Value float64 // instead of Label, for a profile that learns numbers (NumberHead)

	// Weight is how much the example counts in training beside others; 0 means 1, at most 1,000.
	Weight float64
	// Rejected says that the text is not of Label, and not what it is of: see SDK.Rejected.
	Rejected bool
}

// HeadKind says which head a profile uses.
type HeadKind string

const (
	// the store's, frozen: a profile is digits, prior, bias and temperature, or masks, prior, bias
	// and affine
	SharedHead HeadKind = "shared"
	OwnHead    HeadKind = "own" // a linear head of the profile's own, C·(d+1) floats in its record
	// NumberHead is a linear head of the profile's own that gives a number.
	NumberHead HeadKind = "number"
)

// LearnOptions of one Learn. Nil, and every zero field, means the default.
type LearnOptions struct {
	// Head of the profile. Default: what the profile has; for a new one, OwnHead if Labels is set,
	// else SharedHead.
	Head HeadKind
	// Labels of a profile's own label set; sets OwnHead. Stored examples with other labels are not
	// trained on. Default: the profile's, else the store's.
	Labels []string
	// AddLabels lets examples, stored ones too, bring labels that the profile does not have yet;
	// without it they are ErrUnknownLabel. Beside a shared head each gets a row of the profile's
	// own, of 4·(d+1) bytes with masks and 4·(D+1) with digits, which are along axes of D values;
	// the shared head is as it was until TrainHead takes the label in (see PendingLabels).
	AddLabels bool
	// DropExamples stores none of the profile's examples and erases those that are: no replay at
	// the next Learn.
	DropExamples bool
	// Force installs the new revision whatever was measured.
	Force bool
	// Effort trades time for quality of masks; docs/accuracy.md has both. It changes the default
	// Config only, and nothing of digits. learner.EffortFast trains the masks of the upper half of
	// the bank's blocks over states that are computed once, and leaves the lower half without an
	// adapter; where the bank has one block, or training goes on from what was learned below, it
	// takes two fifths of the epochs instead.
	Effort learner.Effort
	// Config of the training of masks; a profile of digits that is given one becomes one of masks.
	// Default, where masks are learned: learner.LastBlocks() over a bank in the last blocks only
	// and under a shared head that TrainHead made, else learner.Default(). K 0, as by default,
	// means that of the profile's last revision, for a new one the store's. Head, and Bias of an
	// own head, are set by the kind of head; Mode can only be learner.Masks. Patience does nothing:
	// no examples are held out that it could watch.
	Config *learner.Config
	// ClassWeights is how much the examples of a label count in training beside the others', each
	// times its own Weight: for labels that are rare and must not be missed. Positive, at most
	// 1,000; a label that the profile does not have is ErrUnknownLabel.
	ClassWeights map[string]float64
	// Progress is called after each step of training masks on all examples, in the goroutine of
	// Learn; digits have none.
	Progress func(step, steps int, loss float32)

	move       bool // Rebase
	background bool // of what was observed: only if that is still due
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
	N        int     `json:"n"`        // examples it was measured on; 0: not measured
	Accuracy float64 `json:"accuracy"` // 0 for numbers
	Loss     float64 `json:"loss"`     // mean cross-entropy, or mean squared error
}

// Report of a Learn.
type Report struct {
	Profile   string
	Installed bool   // false: the old revision was kept
	Reason    string // what was decided, in words
	Revision  uint64 // now served; an old one that was kept gets a new number if DropExamples erased something
	// of what was served before; a label that it did not have counts as wrong; for a new profile
	// the shared head with the label prior, for an own head what it starts from
	Before   Score
	After    Score // of what was learned, on the same examples, even if the label prior serves instead
	Examples int   // learned from, stored ones included
	// from masks to digits, from digits to masks, by Rebase, or to what the engine trains, from
	// adapters in more blocks or over a bank that it cannot train over
	Moved bool
	// Labels is how each label fares out of fold, and MacroF1 the mean of their F1; none of
	// numbers.
	Labels    []LabelReport
	MacroF1   float64
	Sure      Sure  // from which probability on nearly all answers are right; none of numbers
	Truncated int   // of these examples, those longer than MaxTokens: their ends were not read
	Start     Start // where training began
	Waiting   int   // examples that came meanwhile, and wait for the next training
	// Prequential is how often what was served was right about examples before anything had learned
	// from them: over the last hundred or so.
	Prequential Prequential
	Losses      []float32     // one a step of the training on all examples; none of digits
	Steps       int           // 0 of digits
	Took        time.Duration // waiting for other Learns included
	Engine      string        // what computed, native or torch, and on which
	Device      string        // cpu or cuda
	Bytes       int           // of the record that is now served, frame and own head included
	MaskBytes   int           // of the masks in it, 2·⌈N/8⌉·L, or of the rows of digits
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

// Request is one row of a batch.
type Request struct {
	Profile  string // empty: the base, which needs no fallback
	Text     string
	Pair     string
	Fallback Fallback

	NoTaught       bool    // the model answers, whatever is stored of the text
	MinProbability float64 // below it Prediction.Label is empty; 0 to 1
}

// Probability of a label.
type Probability struct {
	Label string  `json:"label"`
	P     float32 `json:"p"`
}

// Prediction is the answer to one Request.
type Prediction struct {
	Profile string
	// the most probable, if no MinProbability is above it; with SourceTaught the stored one, of the
	// head or not
	Label         string
	Model         string        // the most probable
	Probabilities []Probability // of all labels, in the head's order, whatever the source; they add up to 1
	Margin        float32       // the largest probability minus the second; 1 of a single label
	Value         float64       // of a NumberHead, which has no labels, no margin and no taught answers
	Source        Source
	Revision      uint64 // the profile's; with SourceBase 0
	Truncated     bool   // the text is longer than MaxTokens: the answer is to its beginning
	Err           error  // this row's own, with no answer beside it; the other rows are answered
}

// PredictOption changes one Predict.
type PredictOption func(*Request)

// WithPair adds the second text of a pair.
func WithPair(text string) PredictOption { return func(r *Request) { r.Pair = text } }

// WithFallback says what answers if the profile does not exist.
func WithFallback(f Fallback) PredictOption { return func(r *Request) { r.Fallback = f } }

// WithoutTaught lets the model answer, whatever is stored of the text.
func WithoutTaught() PredictOption { return func(r *Request) { r.NoTaught = true } }

// WithMinProbability leaves Prediction.Label empty where the most probable label has less than p, 0
// to 1. A taught label stays, and so does Prediction.Model.
func WithMinProbability(p float64) PredictOption { return func(r *Request) { r.MinProbability = p } }

// ProfileInfo is what is known of a profile without its examples.
type ProfileInfo struct {
	ID       string
	Revision uint64
	// digest, of the axes for a profile of digits; empty: nothing is learned yet, or the prior
	// alone serves
	Bank      string
	Head      HeadKind
	Labels    []string
	N, K      int // of the bank, and selected in each row
	Blocks    int // of masks
	Rows      int // of digits: labels that have one
	Created   time.Time
	Updated   time.Time
	Examples  int // learned from
	Before    float32
	After     float32
	Bytes     int // the stored record
	MaskBytes int

	// Those below are of now, in the History of a profile too.
	Waiting     int  // examples that no training has seen
	Private     bool // see SDK.SetPrivate
	Prequential Prequential
}
