package fleet

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

// fresh says whether the node may answer for a profile.
func (n *Node) fresh(id string) error {
	p := n.parts[partitionOf(n.secrets.nameOf(id), n.plan.Partitions)]
	if age := p.age(); age > n.config.MaxStale {
		return &sdk.ProfileError{ID: id, Example: -1, Err: ErrStale}
	}
	return nil
}

// Observe is sdk.Folder.Observe for the fleet. When it returns, the example is on this node's disk,
// and this node serves it; the fleet has it too if it could be reached within Config.PublishWait,
// else it gets it as soon as it can be. ErrQueueFull if too much waits.
func (n *Node) Observe(ctx context.Context, id string, e sdk.Example) error {
	return n.accept(ctx, op{Kind: opObserve, Profile: id, Examples: []sdk.Example{e}})
}

// Confirmed is sdk.Folder.Confirmed, as Observe: it counts half as much as a correction.
func (n *Node) Confirmed(ctx context.Context, id, text, label string) error {
	return n.Observe(ctx, id, sdk.Example{Text: text, Label: label, Weight: 0.5})
}

// Rejected is sdk.Folder.Rejected, as Observe.
func (n *Node) Rejected(ctx context.Context, id, text, label string) error {
	return n.Observe(ctx, id, sdk.Example{Text: text, Label: label, Rejected: true})
}

// SetPrivate is sdk.Folder.SetPrivate, as Observe.
func (n *Node) SetPrivate(ctx context.Context, id string, private bool) error {
	return n.accept(ctx, op{Kind: opPrivate, Profile: id, Private: private})
}

// ForgetExample is sdk.Folder.ForgetExample. It returns when a learner has erased the example and
// this node serves what is left.
func (n *Node) ForgetExample(ctx context.Context, id, text string, o *sdk.ForgetExampleOptions) error {
	if o == nil {
		o = &sdk.ForgetExampleOptions{}
	}
	_, err := n.ask(ctx, op{Kind: opErase, Profile: id, Text: text, Pair: o.Pair})
	return err
}

// Learn is sdk.Folder.Learn, by a learner. It returns when this node serves what was learned; with
// ctx done before, it may still be learned. LearnOptions.Config, Effort and Progress cannot be
// sent, and are ErrConfig.
func (n *Node) Learn(ctx context.Context, id string, examples []sdk.Example, o *sdk.LearnOptions) (*sdk.Report, error) {
	if o == nil {
		o = &sdk.LearnOptions{}
	}
	if o.Config != nil || o.Effort != "" || o.Progress != nil {
		return nil, configError([]string{"LearnOptions.Config, Effort and Progress stay on one node"})
	}
	a, err := n.ask(ctx, op{Kind: opLearn, Profile: id, Examples: examples, Learn: o})
	return a.Report, err
}

// Latest reads what is stored of what a profile was told, through a learner: with everything that
// any node's Learn, Forget or Latest, or the fleet's having an observation, came before this call.
// Examples reads this node's folder, which may be a moment behind.
func (n *Node) Latest(ctx context.Context, id string) ([]sdk.StoredExample, error) {
	a, err := n.ask(ctx, op{Kind: opRead, Profile: id})
	return a.Examples, err
}

// forgetWait is how long Forget waits for other nodes' word.
const forgetWait = 5 * time.Second

// Forget erases a profile in the fleet. Its key is overwritten on the servers before Forget
// returns, and what was observed of it before, on a node that is cut off too, is dropped. Nil says
// that no node answers for it any more; a *LaterError that some have not confirmed, and until when
// they may. It is sdk.ErrProfileNotFound if there was nobody, but nil where a learner ended before
// it could say so.
func (n *Node) Forget(ctx context.Context, id string) error {
	if _, err := n.ask(ctx, op{Kind: opForget, Profile: id}); err != nil {
		return err
	}
	name := n.secrets.nameOf(id)
	e, err := n.state.entry(name)
	if err != nil {
		return err
	}
	p, by := n.parts[partitionOf(name, n.plan.Partitions)], time.Now().Add(n.config.MaxStale)
	ctx, stop := context.WithTimeout(ctx, forgetWait)
	defer stop()
	var behind []string
	err = n.until(ctx, func() (bool, error) {
		behind = p.behind(e.Seq, n.config.MaxStale)
		return len(behind) == 0, nil
	})
	if err != nil {
		return &LaterError{By: by, Nodes: behind}
	}
	return nil
}

// behind are the nodes that may serve what a value has replaced.
func (p *partition) behind(seq uint64, maxStale time.Duration) (nodes []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, o := range p.others {
		if o.applied < seq && p.now.Sub(o.at) < maxStale {
			nodes = append(nodes, name)
		}
	}
	return nodes
}

// Predict is sdk.Folder.Predict, by this node's folder. A node that is cut off is ErrStale, unless
// the base may answer.
func (n *Node) Predict(ctx context.Context, id, text string, o *sdk.PredictOptions) (sdk.Prediction, error) {
	var opts sdk.PredictOptions
	if o != nil {
		opts = *o
	}
	if err := n.fresh(id); err != nil && !opts.Base {
		if opts.Fallback != sdk.FallbackBase {
			return sdk.Prediction{}, err
		}
		opts.Base = true
	}
	return n.folder.Predict(ctx, id, text, &opts)
}

// PredictBatch is sdk.Folder.PredictBatch, as Predict; rows of a node that is cut off have Err.
func (n *Node) PredictBatch(ctx context.Context, reqs []sdk.Request) ([]sdk.Prediction, error) {
	stale, asked := map[int]error{}, make([]sdk.Request, len(reqs))
	for i, r := range reqs {
		if err := n.fresh(r.Profile); err != nil && !r.Base {
			if r.Base = true; r.Fallback != sdk.FallbackBase {
				stale[i] = err
			}
		}
		asked[i] = r
	}
	out, err := n.folder.PredictBatch(ctx, asked)
	for i, e := range stale {
		if i < len(out) {
			out[i] = sdk.Prediction{Profile: reqs[i].Profile, Err: e}
		}
	}
	return out, err
}

// Ask is sdk.Folder.Ask.
func (n *Node) Ask(ctx context.Context, id string, o *sdk.AskOptions) ([]sdk.Question, error) {
	if err := n.fresh(id); err != nil {
		return nil, err
	}
	return n.folder.Ask(ctx, id, o)
}

// Labels is sdk.Folder.Labels.
func (n *Node) Labels(ctx context.Context) ([]string, error) { return n.folder.Labels(ctx) }

// Profile is sdk.Folder.Profile. Revision counts what this node has seen: it is each node's own.
func (n *Node) Profile(ctx context.Context, id string) (sdk.ProfileInfo, error) {
	if err := n.fresh(id); err != nil {
		return sdk.ProfileInfo{}, err
	}
	return n.folder.Profile(ctx, id)
}

// Profiles is sdk.Folder.Profiles, of this node's folder.
func (n *Node) Profiles(ctx context.Context, o *sdk.ProfilesOptions) iter.Seq2[sdk.ProfileInfo, error] {
	for _, p := range n.parts {
		if p.age() > n.config.MaxStale {
			return func(yield func(sdk.ProfileInfo, error) bool) { yield(sdk.ProfileInfo{}, ErrStale) }
		}
	}
	return n.folder.Profiles(ctx, o)
}

// Examples is sdk.Folder.Examples.
func (n *Node) Examples(ctx context.Context, id string) iter.Seq2[sdk.StoredExample, error] {
	if err := n.fresh(id); err != nil {
		return func(yield func(sdk.StoredExample, error) bool) { yield(sdk.StoredExample{}, err) }
	}
	return n.folder.Examples(ctx, id)
}

// PersonData is sdk.Folder.PersonData, of this node's folder.
func (n *Node) PersonData(ctx context.Context, id string) (*sdk.PersonData, error) {
	if err := n.fresh(id); err != nil {
		return nil, err
	}
	return n.folder.PersonData(ctx, id)
}

// Drain waits until every operation that this node accepted is in the fleet's values.
func (n *Node) Drain(ctx context.Context) error {
	err := n.until(ctx, func() (bool, error) {
		all, _ := n.state.counts()
		return all == 0, nil
	})
	if err != nil {
		return fmt.Errorf("fleet: draining: %w", err)
	}
	return nil
}
