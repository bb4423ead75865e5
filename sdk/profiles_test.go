package sdk

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/store"
)

// idsOf are the ids that a listing with options yields.
func idsOf(t *testing.T, p *Folder, o ProfilesOptions) string {
	t.Helper()
	var ids []string
	for info, err := range p.Profiles(context.Background(), &o) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, info.ID)
	}
	return strings.Join(ids, " ")
}

// TestProfilesWith lists by bank, head, label and learning, through all that moves a profile; with
// a master key, where there are no cohorts, alike.
func TestProfilesWith(t *testing.T) {
	for name, key := range map[string][]byte{"clear": nil, "encrypted": bytes.Repeat([]byte{5}, store.MasterKeySize)} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			c := small(t)
			c.Options.MasterKey = key
			p := create(t, c)
			one := func(label string) []Example { return []Example{{Text: "lunch on friday", Label: label}} }
			mustObserve(t, p, "a/eve", one(labels[0])...)
			mustObserve(t, p, "a/fay", one(labels[1])...)
			mustLearn(t, p, "b/ann", examples(12, 0), forced())
			mustLearn(t, p, "b/own", examples(12, 1), own(1))
			info, err := p.Profile(ctx, "a/eve")
			if err != nil {
				t.Fatal(err)
			}
			check := func(when string, want map[ProfilesOptions]string) {
				t.Helper()
				for o, ids := range want {
					if got := idsOf(t, p, o); got != ids {
						t.Errorf("%s, %+v: got %q, want %q", when, o, got, ids)
					}
				}
			}
			check("at first", map[ProfilesOptions]string{
				{}:                                  "a/eve a/fay b/ann b/own",
				{Bank: info.Bank}:                   "a/eve a/fay b/ann b/own",
				{Bank: info.Bank[:6], Prefix: "b/"}: "b/ann b/own",
				{Head: defaultHead}:                 "a/eve a/fay b/ann",
				{Learned: true}:                     "b/ann b/own",
				{Observed: true}:                    "a/eve a/fay",
				{Label: labels[1], Observed: true}:  "a/fay",
				{Label: " " + labels[0]}:            "a/eve b/ann b/own",
				{Label: "nobody's"}:                 "",
			})
			// A text that is given another label, one more, a Rollback, and a Forget.
			mustObserve(t, p, "a/eve", one(labels[1])...)
			mustObserve(t, p, "a/fay", Example{Text: "server down", Label: labels[0]})
			mustLearn(t, p, "a/fay", examples(12, 0), forced())
			if _, err := p.Rollback(ctx, "a/fay", nil); err != nil {
				t.Fatal(err)
			}
			if err := p.Forget(ctx, "b/own"); err != nil {
				t.Fatal(err)
			}
			check("afterwards", map[ProfilesOptions]string{
				{}:                                 "a/eve a/fay b/ann",
				{Learned: true}:                    "b/ann",
				{Observed: true}:                   "a/eve a/fay",
				{Label: labels[0], Observed: true}: "a/fay",
				{Label: labels[1], Observed: true}: "a/eve a/fay",
			})
			for _, o := range []ProfilesOptions{{Bank: "ff" + info.Bank}, {Head: "nobody's"}} {
				for _, err := range p.Profiles(ctx, &o) {
					wantError(t, "unknown", err, ErrProfileNotFound)
				}
			}
		})
	}
}
