//go:build !(cgo && amd64)

package bert

// newC is nil: there is no C here.
func newC(Weights) path { return nil }

func supportsC() bool { return false }
