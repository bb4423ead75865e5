package sdk

import (
	"context"
	"iter"
)

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
