//go:build torch && cgo && linux

package malloc

import "testing"

// TestParse reads what glibc 2.36 wrote, shortened.
func TestParse(t *testing.T) {
	got := parse([]byte(`<malloc version="1">
<heap nr="0"><sizes><size from="17" to="32" total="64" count="2"/></sizes>
<total type="fast" count="3" size="144"/><total type="rest" count="5" size="700"/>
<system type="current" size="135168"/><system type="max" size="135168"/></heap>
<heap nr="1"><system type="current" size="200000"/></heap>
<total type="fast" count="4" size="1000"/>
<total type="rest" count="9" size="50000"/>
<total type="mmap" count="2" size="4000000"/>
<system type="current" size="335168"/>
<system type="max" size="400000"/>
</malloc>`))
	want := Info{Arenas: 2, Held: 335168, Free: 51000, Mapped: 4000000}
	if got != want || got.Used() != 4284168 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := parse([]byte("<malloc")); got != (Info{}) {
		t.Errorf("a text cut off: got %+v, want zeros", got)
	}
}

// TestRead: glibc always holds something.
func TestRead(t *testing.T) {
	i := Read()
	if i == (Info{}) {
		t.Skip("the C library is not glibc")
	}
	if i.Arenas < 1 || i.Held <= 0 || i.Used() <= 0 || i.Free < 0 {
		t.Errorf("got %+v", i)
	}
	Trim()
}
