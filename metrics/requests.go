package metrics

import "github.com/prometheus/client_golang/prometheus"

// requests are counts of a server's requests.
type requests struct {
	all func(yield func(route, status string, n int64) bool)
}

var requestsDesc = prometheus.NewDesc("xpeft_http_requests_total",
	"Requests with the tenant's token, by the pattern of their route and the class of their status.",
	[]string{"route", "status"}, nil)

// Requests is a collector of what all yields, serve.Requests.All: requests by route and class of
// status, no pair of which may come twice. It is safe for concurrent use if all is.
func Requests(all func(yield func(route, status string, n int64) bool)) prometheus.Collector {
	return requests{all}
}

// Describe implements [prometheus.Collector].
func (r requests) Describe(out chan<- *prometheus.Desc) { out <- requestsDesc }

// Collect implements [prometheus.Collector].
func (r requests) Collect(out chan<- prometheus.Metric) {
	r.all(func(route, status string, n int64) bool {
		m, err := prometheus.NewConstMetric(requestsDesc, prometheus.CounterValue, float64(n), route, status)
		if err != nil { // a label that is not UTF-8
			m = prometheus.NewInvalidMetric(requestsDesc, err)
		}
		out <- m
		return true
	})
}
