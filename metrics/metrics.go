package metrics

import (
	"context"
	"math"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/xpeft/xpeft/sdk"
)

// metric is one number of Stats.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*sdk.Stats) float64
}

func counter(name, help string, of func(*sdk.Stats) int64) metric {
	return metric{prometheus.NewDesc("xpeft_"+name+"_total", help, nil, nil), prometheus.CounterValue, whole(of)}
}

func gauge(name, help string, of func(*sdk.Stats) int64) metric {
	return metric{prometheus.NewDesc("xpeft_"+name, help, nil, nil), prometheus.GaugeValue, whole(of)}
}

func whole(of func(*sdk.Stats) int64) func(*sdk.Stats) float64 {
	return func(s *sdk.Stats) float64 { return float64(of(s)) }
}

// accuracy is a gauge of a share of the examples that Prequential has measured: without any it is
// NaN, for 0 would be an alarm.
func accuracy(name, help string, of func(*sdk.Prequential) float64) metric {
	desc := prometheus.NewDesc("xpeft_prequential_"+name+"_ratio", help, nil, nil)
	return metric{desc, prometheus.GaugeValue, func(s *sdk.Stats) float64 {
		if s.Prequential.N == 0 {
			return math.NaN()
		}
		return of(&s.Prequential)
	}}
}

// info says in labels what is no number.
var info = prometheus.NewDesc("xpeft_info", "1, with the engine and the device that compute.",
	[]string{"engine", "device"}, nil)

// all is every number of Stats: counts since Open are counters, the others gauges.
var all = []metric{
	gauge("profiles", "Profiles in the folder.", func(s *sdk.Stats) int64 { return s.Store.Profiles }),
	gauge("record_bytes", "Bytes of all profiles' records, own heads included.",
		func(s *sdk.Stats) int64 { return s.Store.RecordBytes }),
	gauge("mask_bytes", "Bytes of the masks and rows of digits in the records.",
		func(s *sdk.Stats) int64 { return s.Store.MaskBytes }),
	gauge("examples", "Stored examples.", func(s *sdk.Stats) int64 { return s.Store.Examples }),
	gauge("file_bytes", "Size of xpeft.db.", func(s *sdk.Stats) int64 { return s.Store.FileBytes }),
	gauge("free_bytes", "Bytes of xpeft.db that are written again before it grows.",
		func(s *sdk.Stats) int64 { return s.Store.FreeBytes }),
	gauge("map_bytes", "Addresses at which xpeft.db is mapped.", func(s *sdk.Stats) int64 { return s.Store.MapBytes }),
	gauge("imports", "Imports under way, or waiting for their turn or to be finished.",
		func(s *sdk.Stats) int64 { return s.Store.Imports }),
	gauge("unmerged", "Profiles of a verified bundle that are not in the folder yet.",
		func(s *sdk.Stats) int64 { return s.Store.Unmerged }),
	counter("store_reads", "Reading transactions.", func(s *sdk.Stats) int64 { return s.Store.Reads }),
	counter("store_writes", "Writes.", func(s *sdk.Stats) int64 { return s.Store.Writes }),
	counter("store_commits", "Transactions that the writes shared.",
		func(s *sdk.Stats) int64 { return s.Store.Commits }),

	gauge("cache_entries", "Folded digits and adapters in the cache.",
		func(s *sdk.Stats) int64 { return s.Cache.Entries }),
	gauge("cache_bytes", "Bytes of what is folded in the cache.",
		func(s *sdk.Stats) int64 { return s.Cache.Bytes }),
	counter("cache_hits", "Digits and adapters that were in the cache.",
		func(s *sdk.Stats) int64 { return s.Cache.Hits }),
	counter("cache_misses", "Digits and adapters that were not in the cache.",
		func(s *sdk.Stats) int64 { return s.Cache.Misses }),
	counter("cache_evictions", "Digits and adapters that left for others.",
		func(s *sdk.Stats) int64 { return s.Cache.Evictions }),

	counter("passes", "Forward passes that answered Predict.", func(s *sdk.Stats) int64 { return s.Passes.Passes }),
	counter("pass_texts", "Texts in the passes.", func(s *sdk.Stats) int64 { return s.Passes.Texts }),
	counter("pass_tokens", "Tokens of the texts.", func(s *sdk.Stats) int64 { return s.Passes.Tokens }),
	counter("pass_padded_tokens", "Tokens computed for nothing.", func(s *sdk.Stats) int64 { return s.Passes.Padded }),

	counter("predictions", "Rows answered.", func(s *sdk.Stats) int64 { return s.Predictions }),
	counter("folds", "Digits and adapters folded.", func(s *sdk.Stats) int64 { return s.Folds }),
	counter("learns", "Learnings that ended, in the background too.", func(s *sdk.Stats) int64 { return s.Learns }),
	gauge("untrainable_profiles", "Profiles with adapters in more blocks than the engine trains.",
		func(s *sdk.Stats) int64 { return s.Untrainable }),

	{prometheus.NewDesc("xpeft_prequential_examples",
		"New examples that the prequential accuracies are over, older ones less.", nil, nil), prometheus.GaugeValue,
		func(s *sdk.Stats) float64 { return s.Prequential.N }},
	accuracy("profile", "Share of new examples that profiles, as they were served, were right about; NaN until one "+
		"is measured.", func(q *sdk.Prequential) float64 { return q.Profile }),
	accuracy("prior", "Share that the shared head with the profiles' label priors alone was right about.",
		func(q *sdk.Prequential) float64 { return q.Prior }),
	accuracy("base", "Share that the shared head alone was right about.",
		func(q *sdk.Prequential) float64 { return q.Base }),
}

type collector struct{ folder *sdk.Folder }

// New is a collector of p's numbers. After p.Close a scrape is the error [sdk.ErrClosed]:
// unregister it first.
func New(p *sdk.Folder) prometheus.Collector { return collector{p} }

// Handler answers scrapes of p's numbers, and of those of more collectors, as Requests is one: one
// with a number that p or another has is left out.
func Handler(p *sdk.Folder, more ...prometheus.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.Register(New(p)) // the first of a registry: it is taken
	for _, c := range more {
		registry.Register(c)
	}
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// Describe implements [prometheus.Collector].
func (c collector) Describe(out chan<- *prometheus.Desc) {
	out <- info
	for _, m := range all {
		out <- m.desc
	}
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(out chan<- prometheus.Metric) {
	s, err := c.folder.Stats(context.Background())
	if err != nil {
		out <- prometheus.NewInvalidMetric(info, err)
		return
	}
	send(&s, out)
}

func send(s *sdk.Stats, out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(info, prometheus.GaugeValue, 1, s.Engine, s.Device)
	for _, m := range all {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.of(s))
	}
}

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
