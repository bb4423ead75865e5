//go:build !torch || !cgo || !linux

// Package malloc asks the C library what libtorch's memory is made of. The load test of
// examples/chatbot measures with it; no product code imports it.
package malloc

// Info is what the C library holds.
type Info struct {
	Arenas int   `json:"arenas"`
	Held   int64 `json:"held"`
	Free   int64 `json:"free"`
	Mapped int64 `json:"mapped"`
}

// Used is what the program has not freed.
func (i Info) Used() int64 { return i.Held - i.Free + i.Mapped }

// Read is zeros here.
func Read() Info { return Info{} }

// Trim does nothing here.
func Trim() {}
