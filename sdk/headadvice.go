package sdk

import (
	"context"
	"math/rand/v2"

	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/internal/population"
	"github.com/xpeft/xpeft/model"
)

// HeadAdvice is what a TrainHead would gain in log-loss on people who are held out: a head that is
// fitted to the others against the one that is served now, both with the label prior, the mean over
// 1, 3, 10 and all examples of theirs. A head that these very people taught has the better of it,
// so that the gain is rather too low.
type HeadAdvice struct {
	Worth  bool    `json:"worth"`
	Reason string  `json:"reason"` // in words
	Gain   float64 `json:"gain"`
	Low    float64 `json:"low"` // a 90 % interval over people
	High   float64 `json:"high"`
}

// headFolds is how many parts of the people are held out, one after the other.
const headFolds = 4

// headAdvice takes the strength that the cross-validation for axes found best without any.
func (p *Folder) headAdvice(ctx context.Context, h *model.Head, all *population.Population,
	found *PopulationReport) (*HeadAdvice, error) {
	if j, err := p.newcomersJoint(); err != nil || j != nil {
		return &HeadAdvice{Reason: "the head belongs to the axes on which people differ, and TrainBank trains both"},
			err
	}
	now := &population.Model{C: all.C, D: all.D, W: h.W, A: h.B, Counts: h.Counts}
	served, gains := now.Project(nil, all.Phi), []float64(nil)
	order := rand.New(rand.NewPCG(headFolds, uint64(len(all.People)))).Perm(len(all.People))
	for fold := range headFolds {
		others, held := &population.Population{C: all.C, D: all.D, Phi: all.Phi}, []population.Answers(nil)
		for i, u := range order {
			if i%headFolds == fold {
				held = append(held, all.People[u])
			} else {
				others.People = append(others.People, all.People[u])
			}
		}
		then, _, err := population.Train(ctx, others,
			&population.Options{Setting: &population.Setting{Head: found.Tried[0].Head}, Threads: p.options.Threads})
		if err != nil {
			return nil, err
		}
		rows := then.Project(nil, all.Phi)
		for _, a := range held {
			if len(a.Text) > 1 {
				gains = append(gains, lossWithPrior(now, served, a)-lossWithPrior(then, rows, a))
			}
		}
	}
	return newHeadAdvice(gains), nil
}

func newHeadAdvice(gains []float64) *HeadAdvice {
	a := &HeadAdvice{Gain: mean(gains)}
	if len(gains) > 1 {
		a.Low, a.High = a.Gain-within90*standardError(gains), a.Gain+within90*standardError(gains)
	}
	switch a.Worth = a.Low > 0; {
	case a.Worth:
		a.Reason = "people who are held out are answered better by a head that others taught"
	case a.Gain > 0:
		a.Reason = "what a TrainHead gains may be chance"
	default:
		a.Reason = "the head that is served is as good"
	}
	return a
}

// lossWithPrior is a person's log-loss on three in ten of their answers, with the prior of the
// others' counts.
func lossWithPrior(m *population.Model, rows []float64, a population.Answers) (sum float64) {
	order := rand.New(rand.NewPCG(uint64(len(a.Text)), uint64(a.Text[0]))).Perm(len(a.Text))
	tested := max(1, 3*len(order)/10)
	for _, n := range shots {
		taught := order[tested:]
		if n > 0 {
			taught = taught[:min(n, len(taught))]
		}
		counts := make([]uint32, m.C)
		for _, i := range taught {
			counts[a.Class[i]]++
		}
		prior := m.Prior(counts)
		for _, i := range order[:tested] {
			logits := append([]float64(nil), rows[int(a.Text[i])*m.C:(int(a.Text[i])+1)*m.C]...)
			numeric.Add(logits, 1, prior)
			right := logits[a.Class[i]]
			sum += numeric.Softmax(logits) - right
		}
	}
	return sum / float64(tested*len(shots))
}
