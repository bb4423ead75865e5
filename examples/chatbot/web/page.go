package web

import (
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"

	"github.com/xpeft/xpeft/sdk"
)

//go:embed static
var static embed.FS

// Options of a Page. Nil, and every zero field, means the default.
type Options struct {
	// Samples are messages to try, by profile; those of "" are for profiles that have none of their
	// own.
	Samples map[string][]string
	// Every is the folder's sdk.Options.ObserveEvery; default 8.
	Every int
	// Population says that the shared head was learned from people: TrainHead, or TrainBank.
	Population bool
}

// Page answers the page's paths, and hands all others to the API.
type Page struct {
	mux    *http.ServeMux
	folder *sdk.Folder
	curves *Curves
	codes  codes
	about  about
}

// about is what the page begins with.
type about struct {
	Labels     []string            `json:"labels"`
	Samples    map[string][]string `json:"samples"`
	Every      int                 `json:"every"`
	Population bool                `json:"population"`
}

// policy keeps everything that is not of this server out of the page.
const policy = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// New makes the page of one folder, which api serves.
func New(api http.Handler, folder *sdk.Folder, curves *Curves, o *Options) *Page {
	if o == nil {
		o = new(Options)
	}
	p := &Page{mux: http.NewServeMux(), folder: folder, curves: curves,
		about: about{Samples: o.Samples, Every: o.Every, Population: o.Population}}
	if p.about.Every == 0 {
		p.about.Every = 8
	}
	if p.about.Samples == nil {
		p.about.Samples = map[string][]string{}
	}
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // not of an embedded folder
	}
	for path, name := range map[string]string{"/{$}": "people.html", "/operators": "operators.html"} {
		p.mux.HandleFunc("GET "+path,
			func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, name) })
	}
	p.mux.Handle("GET /web/", http.StripPrefix("/web/", http.FileServerFS(files)))
	p.mux.HandleFunc("GET /page/about", p.answer(p.begin))
	p.mux.HandleFunc("GET /page/codes", p.answer(p.allCodes))
	p.mux.HandleFunc("GET /page/curve/{id}", p.answer(p.curve))
	p.mux.HandleFunc("DELETE /v1/profiles/{id}", func(w http.ResponseWriter, r *http.Request) {
		api.ServeHTTP(w, r)
		if _, err := folder.Profile(r.Context(), r.PathValue("id")); errors.Is(err, sdk.ErrProfileNotFound) {
			curves.forget(r.PathValue("id"))
		}
	})
	p.mux.Handle("/", api)
	return p
}

func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-cache")
	p.mux.ServeHTTP(w, r)
}

func (p *Page) begin(r *http.Request) (any, error) {
	out := p.about
	stats, err := p.folder.Stats(r.Context())
	if a := stats.Advice; err == nil && a != nil && a.Trained && a.Worth {
		out.Population = true
	}
	if err == nil {
		out.Labels, err = p.folder.Labels(r.Context())
	}
	return out, err
}

// answer makes a handler of what one of the page's own routes returns.
func (p *Page) answer(f func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		code, kind := http.StatusOK, "application/json"
		var v any
		err := errHost
		if local(r.Host) {
			v, err = f(r)
		}
		var body []byte
		if err == nil {
			body, err = json.Marshal(v)
		}
		if err != nil {
			code, kind = status(err), "application/problem+json"
			body, _ = json.Marshal(map[string]any{"status": code, "title": http.StatusText(code)})
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(code)
		w.Write(body) // an error means that the caller is gone
	}
}

var errHost = errors.New("a host that is not this machine")

func status(err error) int {
	switch {
	case errors.Is(err, errHost):
		return http.StatusMisdirectedRequest
	case errors.Is(err, sdk.ErrProfileNotFound):
		return http.StatusNotFound
	case errors.Is(err, sdk.ErrID):
		return http.StatusBadRequest
	case errors.Is(err, sdk.ErrClosed):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// local says whether a request names this machine, and not a name that a web page of somebody else
// made point here.
func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
