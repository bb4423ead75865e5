//go:build !amd64

package dense

import "testing"

func withKernels(t *testing.T, test func(t *testing.T)) { t.Run(Kernel(), test) }
