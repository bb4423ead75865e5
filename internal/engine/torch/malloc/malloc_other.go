//go:build !torch || !cgo || !linux

package malloc

// Read is zeros here.
func Read() Info { return Info{} }

// Trim does nothing here.
func Trim() {}
