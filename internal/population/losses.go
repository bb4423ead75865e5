package population

import "math"

// losses are what held-out people lose.
type losses struct {
	people []float64 // each person's mean
	texts  []float64 // sums of each text, an answer in parts of its person; nil unless texts are held out
	weight []float64 // the parts of each text
}

func (l *losses) mean() (sum float64) {
	for _, v := range l.people {
		sum += v / float64(len(l.people))
	}
	return sum
}

// less is how much less l loses than other, and the standard error of that over people or, where
// texts are held out, over texts, if that is larger: all who are asked about a text share its luck.
func (l *losses) less(other *losses) (gain, se float64) {
	n := float64(len(l.people))
	for u, v := range l.people {
		gain += (other.people[u] - v) / n
	}
	square := 0.0
	for u, v := range l.people {
		d := other.people[u] - v - gain
		square += d * d
	}
	return gain, max(math.Sqrt(square/max(1, n-1)/n), l.overTexts(other))
}

func (l *losses) overTexts(other *losses) float64 {
	mean, all, n, square := 0.0, 0.0, 0.0, 0.0
	for t, w := range l.weight {
		if w > 0 {
			mean, all, n = mean+other.texts[t]-l.texts[t], all+w, n+1
		}
	}
	for t, w := range l.weight {
		if w > 0 {
			d := other.texts[t] - l.texts[t] - w*mean/all
			square += d * d / (all * all)
		}
	}
	return math.Sqrt(square * n / max(1, n-1))
}

// add takes a held-out person's losses, an answer each, of one division.
func (l *losses) add(test Answers, loss []float64, divisions int) {
	for i, t := range test.Text {
		part := 1 / float64(len(loss)*divisions)
		l.texts[t] += part * loss[i]
		l.weight[t] += part
	}
}

// average makes one value of those of a person who is held out more than once: who has the person
// of each.
func average(values []float64, who []int, people int) (out []float64) {
	at, times := make([]int, people), make([]float64, people)
	for i, u := range who {
		if times[u]++; times[u] == 1 {
			at[u] = len(out)
			out = append(out, values[i])
		} else {
			out[at[u]] += values[i]
		}
	}
	for u, n := range times {
		if n > 1 {
			out[at[u]] /= n
		}
	}
	return out
}
