package fleet

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy stands between a node and one server. Cut, it drops what comes from either side, and takes
// no connection: neither side is told.
type proxy struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	cut      bool
	open     map[net.Conn]bool
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: to, open: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); p.drop() })
	go p.serve()
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

func (p *proxy) serve() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.DialTimeout("tcp", p.to, time.Second)
		if err != nil || p.isCut() {
			in.Close()
			if err == nil {
				out.Close()
			}
			continue
		}
		p.mu.Lock()
		p.open[in], p.open[out] = true, true
		p.mu.Unlock()
		go p.copy(in, out)
		go p.copy(out, in)
	}
}

func (p *proxy) isCut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut
}

func (p *proxy) copy(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !p.isCut() {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		} else if n > 0 {
			err = io.ErrClosedPipe // a stream with a hole is no stream: it ends when the cut does
			for p.isCut() {
				time.Sleep(20 * time.Millisecond)
			}
		}
		if err != nil {
			to.Close()
			from.Close()
			p.mu.Lock()
			delete(p.open, to)
			delete(p.open, from)
			p.mu.Unlock()
			return
		}
	}
}

func (p *proxy) set(cut bool) {
	p.mu.Lock()
	p.cut = cut
	p.mu.Unlock()
}

func (p *proxy) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.Close()
	}
}

// proxies are a node's to all servers.
type proxies []*proxy

func (all proxies) set(cut bool) {
	for _, p := range all {
		p.set(cut)
	}
}

func (all proxies) urls() (s string) {
	for i, p := range all {
		if i > 0 {
			s += ","
		}
		s += p.url()
	}
	return s
}
