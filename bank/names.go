package bank

import "fmt"

var (
	originNames     = []string{Random: "random", Warm: "warm", HeadAxes: "axes", JointAxes: "joint"}
	activationNames = []string{Identity: "identity", ReLU: "relu"}
	dtypeNames      = []string{F32: "F32", F16: "F16"}
)

func (o Origin) String() string     { return nameOf(originNames, o) }
func (a Activation) String() string { return nameOf(activationNames, a) }
func (t DType) String() string      { return nameOf(dtypeNames, t) }

// MarshalText and UnmarshalText give the names to encoding/json.
func (o Origin) MarshalText() ([]byte, error)     { return marshalName(originNames, o) }
func (a Activation) MarshalText() ([]byte, error) { return marshalName(activationNames, a) }
func (t DType) MarshalText() ([]byte, error)      { return marshalName(dtypeNames, t) }

func (o *Origin) UnmarshalText(b []byte) error     { return unmarshalName(originNames, b, o) }
func (a *Activation) UnmarshalText(b []byte) error { return unmarshalName(activationNames, b, a) }
func (t *DType) UnmarshalText(b []byte) error      { return unmarshalName(dtypeNames, b, t) }

func nameOf[T ~uint8](names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%d", uint8(v))
}

func marshalName[T ~uint8](names []string, v T) ([]byte, error) {
	if int(v) >= len(names) {
		return nil, invalidf("value %d, want one of %q", uint8(v), names)
	}
	return []byte(names[v]), nil
}

func unmarshalName[T ~uint8](names []string, text []byte, v *T) error {
	for i, name := range names {
		if name == string(text) {
			*v = T(i)
			return nil
		}
	}
	return invalidf("value %q, want one of %q", text, names)
}
