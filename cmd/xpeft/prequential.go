package main

import (
	"fmt"
	"math"

	"github.com/xpeft/xpeft/internal/folder"
)

// prequential says how often answers were right about examples that nothing had learned from yet.
func prequential(q folder.Prequential) string {
	if q.N == 0 {
		return "not measured"
	}
	return fmt.Sprintf("%.3f served, %.3f by the prior alone, %.3f by the base, on %s", q.Profile, q.Prior, q.Base,
		count(int(math.Round(q.N)), "new example"))
}
