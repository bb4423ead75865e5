package fleet

import (
	"testing"
	"time"
)

// TestCreateWhileForming: a fleet is made while its servers start, and one of them is late.
func TestCreateWhileForming(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	for i := range c.servers {
		c.stop(i)
	}
	c.start(0)
	c.start(1)
	c.ready()
	made, config, layout := make(chan error, 1), c.config("operator"), testLayout(t)
	go func() { made <- Create(t.Context(), config, layout) }()
	select {
	case err := <-made:
		t.Errorf("two servers of three: %v", err)
		made <- nil
	case <-time.After(2 * time.Second):
	}
	c.start(2)
	if err := <-made; err != nil {
		t.Error(err)
	}
}
