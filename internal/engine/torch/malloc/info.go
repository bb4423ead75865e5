// Package malloc asks the C library what libtorch's memory is made of. The load test of
// examples/chatbot measures with it; no product code imports it.
package malloc

// Info is what the C library holds.
type Info struct {
	Arenas int   `json:"arenas"` // heaps, which threads share
	Held   int64 `json:"held"`   // bytes that the arenas have from the system
	Free   int64 `json:"free"`   // of these, not in use
	Mapped int64 `json:"mapped"` // bytes of large blocks, each mapped by itself
}

// Used is what the program has not freed.
func (i Info) Used() int64 { return i.Held - i.Free + i.Mapped }
