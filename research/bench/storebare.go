package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store"
)

// bareStore is a bbolt file with one bucket, id → record, and no more: the rival of load, export
// and import.
type bareStore struct {
	db     *bolt.DB
	fill   float64 // bbolt's FillPercent: how full it leaves pages
	loaded time.Duration
}

var bareBucket = []byte("profiles")

func openBare(path string, fill float64) (*bareStore, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, InitialMmapSize: 1 << 30})
	if err != nil {
		return nil, err
	}
	return &bareStore{db: db, fill: fill}, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket(bareBucket)
		return err
	})
}

// put stores the records in one transaction. Encoding them is not counted.
func (s *bareStore) put(batch []*store.Profile) error {
	keys, values := make([][]byte, len(batch)), make([][]byte, len(batch))
	for i, p := range batch {
		value, err := store.EncodeProfile(p)
		if err != nil {
			return err
		}
		keys[i], values[i] = []byte(p.ID), value
	}
	began := time.Now()
	err := s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bareBucket)
		b.FillPercent = s.fill
		for i, key := range keys {
			if err := b.Put(key, values[i]); err != nil {
				return err
			}
		}
		return nil
	})
	s.loaded += time.Since(began)
	return err
}

// walk writes all records to a file, each after its length: no compression, no checksum.
func (s *bareStore) walk(path string) (time.Duration, error) {
	began := time.Now()
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<16)
	err = s.db.View(func(tx *bolt.Tx) error {
		var size [binary.MaxVarintLen64]byte
		return tx.Bucket(bareBucket).ForEach(func(_, v []byte) error {
			if _, err := w.Write(size[:binary.PutUvarint(size[:], uint64(len(v)))]); err != nil {
				return err
			}
			_, err := w.Write(v)
			return err
		})
	})
	if err == nil {
		err = w.Flush()
	}
	return time.Since(began), err
}

// watchMemory samples the process's anonymous memory until stop, which returns the peak in MiB. It
// first gives back what Go's heap does not need.
func watchMemory() (stop func() float64) {
	debug.FreeOSMemory()
	var peak float64
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			peak = max(peak, anonymousMiB())
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	var once sync.Once
	return func() float64 {
		once.Do(func() { close(done) })
		<-ended
		return peak
	}
}

// anonymousMiB is RssAnon, 0 where there is no /proc.
func anonymousMiB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0
	}
	return kb / 1024
}
