package sdk

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// exam is the texts that a lesson's revisions are measured on. What is below the bank's first adapter is computed once for all of them: over a bank in the last block
// that is nearly all of it.
type exam struct {
	at       map[string]int // by the text's tokens
	prepared *learner.Prepared
	seen     map[contentKey][]float32 // embeddings of all texts under an adapter, [n,H]; of the bare encoder under the zero key
}

// setExams prepares the exams of tasks over one bank together.
func (p *SDK) setExams(ctx context.Context, tasks []*task) error {
	var texts []learner.Example
	for _, t := range tasks {
		l := t.lesson
		l.exam = exam{at: map[string]int{}, seen: map[contentKey][]float32{}}
		for _, e := range slices.Concat(l.data.held, l.kept) {
			if key := tokensOf(e); l.exam.at[key] == 0 {
				l.exam.at[key] = len(l.exam.at) + 1
				texts = append(texts, e)
			}
		}
	}
	if len(texts) == 0 {
		return nil
	}
	all, err := learner.Prepare(ctx, p.env(tasks[0].lesson.bank), texts)
	if err != nil {
		return corrupt("bank", err)
	}
	at := 0
	for _, t := range tasks {
		l := t.lesson
		which := make([]int, len(l.exam.at))
		for i := range which {
			which[i] = at + i
		}
		l.exam.prepared, at = all.Pick(which), at+len(which)
	}
	return nil
}

// tokensOf tells texts apart.
func tokensOf(e learner.Example) string { return string(appendTokens(nil, &e.Text)) }

func appendTokens(b []byte, text *model.Encoding) []byte {
	for i, id := range text.IDs {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(id)), byte(text.TypeIDs[i]))
	}
	return b
}

// embed is the embeddings of texts under a revision, nil for the bare encoder: [n,H].
func (l *lesson) embed(ctx context.Context, snap *snapshot, texts []learner.Example) ([]float32, error) {
	which, known := make([]int, len(texts)), snap == nil || snap.bank.Properties().Blocks <= l.bank.Properties().Blocks
	for i, e := range texts {
		which[i] = l.exam.at[tokensOf(e)] - 1
		known = known && which[i] >= 0
	}
	if !known { // texts that are no exam's, or a deeper bank's adapter
		return l.embedAlone(ctx, snap, texts)
	}
	var key contentKey
	if snap != nil {
		key = snap.key
	}
	all := l.exam.seen[key]
	if all == nil {
		var err error
		all, err = embedUnder(snap, func(a *model.Adapter) ([]float32, error) { return l.exam.prepared.Embed(ctx, l.sdk.env(l.bank), a) })
		if err != nil {
			return nil, err
		}
		l.exam.seen[key] = all
	}
	d := l.sdk.encoder.Hidden()
	var out []float32
	for _, i := range which {
		out = append(out, all[i*d:(i+1)*d]...)
	}
	return out, nil
}

// embedAlone is embed of texts that no exam has prepared.
func (l *lesson) embedAlone(ctx context.Context, snap *snapshot, texts []learner.Example) ([]float32, error) {
	return embedUnder(snap, func(a *model.Adapter) ([]float32, error) { return learner.Embed(ctx, l.sdk.env(nil), texts, a) })
}

// embedUnder folds a revision for f; nil is the bare encoder.
func embedUnder(snap *snapshot, f func(*model.Adapter) ([]float32, error)) ([]float32, error) {
	if snap == nil {
		return f(nil)
	}
	a, err := snap.fold()
	if err != nil {
		return nil, err
	}
	return f(a)
}
