package digits

import "errors"

// ErrConfig wraps what is wrong with a Person, a Head or their options: a length, a label out of
// range, a number that is not finite.
var ErrConfig = errors.New("digits: bad configuration")
