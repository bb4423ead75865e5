package metrics_test

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/xpeft/xpeft/metrics"
	"github.com/xpeft/xpeft/sdk"
)

// A server registers the collector of its open folder beside its own.
func ExampleNew() {
	var p *sdk.Folder // sdk.Open's
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.New(p))
}
