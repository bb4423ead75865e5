package population

import "errors"

// ErrConfig is returned for a population, options or examples that cannot be learned from; the
// error says what is wrong.
var ErrConfig = errors.New("population: invalid input")
