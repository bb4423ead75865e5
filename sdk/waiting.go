package sdk

import "context"

// Waiting is how many examples no training has seen, and of how many profiles; one that is due
// because an example was taken back counts too. Cost: a look at those profiles' records.
func (p *Folder) Waiting(ctx context.Context) (examples, profiles int, err error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return 0, 0, err
	}
	defer leave()
	all, err := p.store.Waiting(ctx)
	for _, w := range all {
		examples += w.Examples
	}
	return examples, len(all), err
}
