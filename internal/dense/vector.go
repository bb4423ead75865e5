package dense

// Dot is a·b; its bits depend on the values and their number alone.
func Dot(a, b []float32) float32 {
	same(len(a), len(b))
	if fast && len(a) > 0 {
		return dot(len(a), &a[0], &b[0])
	}
	var sum float32
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// Axpy is y += alpha·x.
func Axpy(y []float32, alpha float32, x []float32) {
	same(len(y), len(x))
	if fast && len(y) > 0 {
		axpy(len(y), &y[0], alpha, &x[0])
		return
	}
	for i, v := range x {
		y[i] += alpha * v
	}
}
