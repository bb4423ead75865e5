// Package metrics is a Prometheus collector of an open folder's numbers. Each scrape takes one
// [sdk.Folder.Stats], which reads no profile.
//
//	registry.MustRegister(metrics.New(p))
//	http.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
//
// Ids of profiles are never labels. Several folders in one process are told apart by a label of the
// host's: prometheus.WrapRegistererWith(prometheus.Labels{"folder": "news"}, registry). Latencies
// and errors belong to the host's handlers.
//
// # Concurrency
//
// A collector is safe for concurrent use.
package metrics
