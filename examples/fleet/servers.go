package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startServers starts three NATS servers that keep their streams under dir, and waits until they
// have a leader.
func startServers(dir string) (urls string, stop func(), err error) {
	var servers []*server.Server
	stop = func() {
		for _, s := range servers {
			s.Shutdown()
			s.WaitForShutdown()
		}
	}
	ports, err := freePorts(6)
	if err != nil {
		return "", stop, err
	}
	var routes, all []string
	for i := range 3 {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[3+i]))
		all = append(all, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
	}
	for i := range 3 {
		name := fmt.Sprintf("server%d", i)
		s, err := server.NewServer(&server.Options{ServerName: name, Host: "127.0.0.1", Port: ports[i],
			NoSigs: true, JetStream: true, StoreDir: filepath.Join(dir, name),
			Routes:  server.RoutesFromStr(strings.Join(routes, ",")),
			Cluster: server.ClusterOpts{Name: "example", Host: "127.0.0.1", Port: ports[3+i]}})
		if err != nil {
			return "", stop, err
		}
		servers = append(servers, s)
		go s.Start()
	}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for _, s := range servers {
			if s.JetStreamIsLeader() && s.ReadyForConnections(time.Second) {
				return strings.Join(all, ","), stop, nil
			}
		}
	}
	return "", stop, errors.New("the NATS servers have no leader")
}

func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
