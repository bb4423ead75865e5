package population

// addNarrow is numeric.Add of what is kept in float32.
func addNarrow(to []float64, by float64, x []float32) {
	for i, v := range x {
		to[i] += by * float64(v)
	}
}

func dotNarrow(x []float32, y []float64) (sum float64) {
	for i, v := range x {
		sum += float64(v) * y[i]
	}
	return sum
}
