package fleet

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/xpeft/xpeft/sdk"
)

// certificate writes one of this machine's, and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, c, c, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: bytes}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// user makes an NKey, and returns what the servers' configuration and what a client needs of it.
func user(t *testing.T) (public string, client nats.Option) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err = pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return public, nats.Nkey(public, pair.Sign)
}

// TestRights: with TLS, NKeys and the rights of accounts/nats.conf a serving node and a learner do
// all that they do, and a serving node's key cannot do what is a learner's. Nothing that servers
// keep names a person or a text.
func TestRights(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	operatorKey, operator := user(t)
	serveKey, serve := user(t)
	learnKey, learn := user(t)
	conf, err := os.ReadFile("accounts/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	named := strings.NewReplacer("$FLEET_CERT", cert, "$FLEET_KEY", key, "$OPERATOR_NKEY", operatorKey,
		"$SERVE1_NKEY", serveKey, "$LEARN1_NKEY", learnKey).Replace(string(conf))
	from := &server.Options{}
	if err := from.ProcessConfigString(named); err != nil {
		t.Fatal(err)
	}
	c := newCluster(t, func(o *server.Options) {
		o.TLSConfig, o.TLSTimeout, o.Accounts = from.TLSConfig, from.TLSTimeout, from.Accounts
		o.Nkeys, o.Users = from.Nkeys, from.Users
	})
	config := func(name string, who nats.Option) Config {
		config := c.config(name)
		config.Servers = strings.ReplaceAll(config.Servers, "nats:", "tls:")
		config.NATS = []nats.Option{who, nats.RootCAs(cert)}
		return config
	}
	if err := Create(t.Context(), config("operator", operator), testLayout(t)); err != nil {
		t.Fatal(err)
	}
	wrong := config("operator", operator)
	wrong.Secret = bytes.Repeat([]byte("x"), keySize)
	wrong.Dir = t.TempDir()
	if _, err := Open(t.Context(), wrong); !errors.Is(err, ErrNoFleet) {
		t.Errorf("with another secret: got %v, want ErrNoFleet", err)
	}
	learning := config("learn1", learn)
	learning.Learner = true
	l, a := c.open(learning), c.open(config("serve1", serve))
	if _, err := a.Learn(t.Context(), "alice@example.com", messages, nil); err != nil {
		t.Fatal(err)
	}
	if err := a.Observe(t.Context(), "alice@example.com", sdk.Example{Text: "a text of alice's", Label: "later"}); err != nil {
		t.Fatal(err)
	}
	if err := a.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l, s := answers(t, l, "alice@example.com", "a text of alice's"); l != "later" || s != sdk.SourceTaught {
		t.Errorf("on the learner: got %q by %q, want later, taught", l, s)
	}
	if status, err := ReadStatus(t.Context(), config("operator", operator)); err != nil || len(status.Streams) != 6 || len(status.Nodes) != 4 {
		t.Errorf("status: got %+v, %v, want 6 streams and 2 nodes in each of 2 partitions", status, err)
	}
	name := l.secrets.nameOf("alice@example.com")
	p := partitionOf(name, 2)
	for _, subject := range []string{a.valueSubject(p, personKey+name), a.keySubject(p, name), a.leaseSubject(name),
		"$JS.API.STREAM.MSG.GET." + a.opsStream(p), "$JS.API.STREAM.MSG.DELETE." + a.keysStream(p),
		"$JS.API.STREAM.DELETE." + a.keysStream(p), a.valueSubject(p, nodeKey+"learn1")} {
		if !refuses(t, config("serve1", serve), subject) {
			t.Errorf("a serving node may publish to %s", subject)
		}
	}
	if err := a.Forget(t.Context(), "alice@example.com"); err != nil {
		t.Errorf("Forget: %v", err)
	}
	if key, err := l.readKey(t.Context(), p, name); err != nil || key != nil {
		t.Errorf("the key after Forget: got %d bytes, %v, want none", len(key), err)
	}
	for _, o := range c.options {
		for _, secret := range []string{"alice@example.com", "a text of alice's", "Checkout returns errors"} {
			if path := find(t, o.StoreDir, secret); path != "" {
				t.Errorf("a server's %s has %q", path, secret)
			}
		}
	}
}

// refuses says whether the servers refuse a publication.
func refuses(t *testing.T, config Config, subject string) bool {
	t.Helper()
	refused := make(chan error, 8)
	heard := nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err })
	opts := append([]nats.Option{heard}, config.NATS...)
	nc, err := nats.Connect(config.Servers, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := errors.Join(nc.Publish(subject, []byte("{}")), nc.Flush()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-refused:
		return errors.Is(err, nats.ErrPermissionViolation)
	case <-time.After(20 * time.Second):
		return false
	}
}

// find returns a file under dir that has a text.
func find(t *testing.T, dir, text string) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte(text)) {
			found = path
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
