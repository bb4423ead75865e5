package model

import "github.com/xpeft/xpeft/internal/dense"

// windowOverlap is the part of a window's tokens that the window before it has too, one in so many:
// a sentence on the border is whole in one of them.
const windowOverlap = 8

// EncodeWindows is Encode of a text that goes on in further windows where one of maxTokens does not
// hold it, up to so many windows; what they do not hold is cut off. Each is a text of its own to
// the encoder, with special tokens, and begins an eighth before the end of the one before. Of a
// pair each window has the first text, cut to half of the tokens if need be, and its part of the
// second.
func (t *Tokenizer) EncodeWindows(dst *Encoding, text, pair string, maxTokens, windows int) {
	t.Encode(dst, text, pair, maxTokens)
	if windows < 2 || !dst.Truncated || maxTokens < MinTokens {
		return
	}
	var first, long Encoding
	room, kind := maxTokens-2, int32(0)
	if pair != "" {
		room, kind = room-1-t.secondSep(), t.pairType()
		t.Encode(&first, text, "", room+2)
		t.Encode(&long, pair, "", room*windows+2)
		n := len(first.IDs) - 2
		keep := min(n, room/2)
		first.IDs, first.Truncated, room = first.IDs[:1+keep], keep < n, room-keep
		for range 1 + t.secondSep() {
			first.IDs = append(first.IDs, t.sep)
		}
	} else {
		t.Encode(&long, text, "", room*windows+2)
		first.IDs = append(first.IDs, t.cls)
	}
	rest := long.IDs[1 : len(long.IDs)-1]
	if len(rest) <= room { // it is the pair's first text that is too long
		return
	}
	dst.IDs, dst.TypeIDs = dst.IDs[:0], dst.TypeIDs[:0]
	for {
		part := rest[:min(room, len(rest))]
		dst.IDs = append(append(append(dst.IDs, first.IDs...), part...), t.sep)
		dst.TypeIDs = appendTypes(appendTypes(dst.TypeIDs, len(first.IDs), 0), len(part)+1, kind)
		dst.Windows = append(dst.Windows, int32(len(first.IDs)+len(part)+1))
		if len(part) == len(rest) || len(dst.Windows) == windows {
			dst.Truncated = first.Truncated || long.Truncated || len(part) < len(rest)
			return
		}
		rest = rest[room-room/windowOverlap:]
	}
}

// pooled has f write values of n rows, a window each, and gives x and states each text's mean over
// its windows, weighted by their tokens.
func pooled(texts []Encoding, n int, x, states []float32, f func(x, states []float32)) {
	if n == len(texts) {
		f(x, states)
		return
	}
	rows, tapped := make([]float32, len(x)/len(texts)*n), make([]float32, len(states)/len(texts)*n)
	f(rows, tapped)
	average(x, rows, texts)
	average(states, tapped, texts)
}

func average(dst, rows []float32, texts []Encoding) {
	width := len(dst) / len(texts)
	for _, t := range texts {
		if len(t.Windows) == 0 {
			copy(dst[:width], rows)
			rows = rows[width:]
		} else {
			clear(dst[:width])
		}
		for _, n := range t.Windows {
			dense.Axpy(dst[:width], float32(n)/float32(len(t.IDs)), rows[:width])
			rows = rows[width:]
		}
		dst = dst[width:]
	}
}
