package stats

import "math"

// Accuracy is the share of predictions that are right; 0 for none.
func Accuracy(truth, predicted []int) float64 {
	if len(truth) == 0 {
		return 0
	}
	right := 0
	for i, c := range truth {
		if predicted[i] == c {
			right++
		}
	}
	return float64(right) / float64(len(truth))
}

// tally counts one class: right, wrongly predicted, missed.
type tally struct{ hit, wrong, missed float64 }

// f1 is 2·hit / (2·hit + wrong + missed); 0 for a class that is nowhere.
func (t tally) f1() float64 {
	if t.hit == 0 {
		return 0
	}
	return 2 * t.hit / (2*t.hit + t.wrong + t.missed)
}

func tallies(truth, predicted []int) map[int]*tally {
	all := map[int]*tally{}
	of := func(c int) *tally {
		if all[c] == nil {
			all[c] = &tally{}
		}
		return all[c]
	}
	for i, c := range truth {
		if p := predicted[i]; p == c {
			of(c).hit++
		} else {
			of(c).missed++
			of(p).wrong++
		}
	}
	return all
}

// MacroF1 is the mean F1 of the classes that occur in truth or among the predictions; 0 for none.
func MacroF1(truth, predicted []int) float64 {
	all := tallies(truth, predicted)
	sum := 0.0
	for _, t := range all {
		sum += t.f1()
	}
	return sum / math.Max(1, float64(len(all)))
}

// F1 is that of one class.
func F1(truth, predicted []int, class int) float64 {
	if t := tallies(truth, predicted)[class]; t != nil {
		return t.f1()
	}
	return 0
}

// MCC is the Matthews correlation coefficient, for two classes or more (Gorodkin 2004); 0 where
// truth or predictions are all of one class.
func MCC(truth, predicted []int) float64 {
	n, right := float64(len(truth)), 0.0
	inTruth, inPredicted := map[int]float64{}, map[int]float64{}
	for i, c := range truth {
		inTruth[c]++
		inPredicted[predicted[i]]++
		if predicted[i] == c {
			right++
		}
	}
	both, tt, pp := 0.0, 0.0, 0.0
	for c, t := range inTruth {
		both += t * inPredicted[c]
		tt += t * t
	}
	for _, p := range inPredicted {
		pp += p * p
	}
	if d := math.Sqrt((n*n - tt) * (n*n - pp)); d > 0 {
		return (right*n - both) / d
	}
	return 0
}
