package learner

// schedule gives each step its share of the rates and its noise.
type schedule struct {
	steps    int
	warmUp   float64
	constant bool
	nu, end  float64
}

func (c Config) schedule(steps int) schedule {
	return schedule{steps: steps, warmUp: c.WarmUp, constant: c.Constant, nu: c.Nu, end: c.NuEnd}
}

// rate is in (0, 1]: a linear rise over the warm-up, then a linear fall that would reach 0 after
// the last step.
func (s schedule) rate(step int) float64 {
	warm := s.warmUp * float64(s.steps)
	if float64(step) < warm {
		return float64(step+1) / (warm + 1)
	}
	if s.constant {
		return 1
	}
	return (float64(s.steps) - float64(step)) / (float64(s.steps) - warm)
}

// noise falls linearly from nu to end.
func (s schedule) noise(step int) float64 {
	if s.steps < 2 {
		return s.nu
	}
	return s.nu + (s.end-s.nu)*float64(step)/float64(s.steps-1)
}
