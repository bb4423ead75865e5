package bank

import "fmt"

func (o Origin) String() string     { return nameOf([]string{"random", "warm", "axes", "joint"}, o) }
func (a Activation) String() string { return nameOf([]string{"identity", "relu"}, a) }
func (t DType) String() string      { return nameOf([]string{"F32", "F16"}, t) }

func nameOf[T ~uint8](names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%d", uint8(v))
}
