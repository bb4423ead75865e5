package sdk

import (
	"bufio"
	"bytes"
	"context"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"os"
	"sync"
	"time"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/internal/population"
)

// axesCheckpoint keeps beside the banks where the fits of a TrainBank that seeks axes have ended,
// for the next call to go on from if this one is cut off. Its records are appended, the first of
// them the digest of the population, the others a fit each:
//
//	length of what follows the sum, uint32 | CRC-32C of that, uint32 | digest, [32]byte
//	length, uint32 | CRC-32C, uint32 | key, [32]byte | steps, uint32 | x, float64 each
//
// little-endian; in an encrypted folder what follows the sum is sealed. A record that a crash cut,
// and what is behind it, is not there. Nothing in it is of one person, but it was made of them all:
// Forget removes it.
type axesCheckpoint struct {
	mu      sync.Mutex
	dir     string
	warn    func(msg string, args ...any)
	seal    cipher.AEAD // nil in a folder in the clear
	file    *os.File    // nil: nothing is kept
	size    int64
	at      map[[32]byte]int64 // where each key's last record begins
	pending []byte
	flushed time.Time
	found   int  // fits that were not run again
	dropped bool // something was forgotten since begin
}

const (
	checkpointEvery = 2 * time.Second  // between two writes
	stepsEvery      = 10 * time.Second // the same within a fit
	mostCheckpoint  = 1 << 30          // bytes; what comes then is not kept
	checkpointHead  = 8                // bytes of a record before what is summed
	checkpointKeys  = 32 + 4           // bytes of a fit before x
)

var (
	castagnoli      = crc32.MakeTable(crc32.Castagnoli)
	errCheckpoint   = errors.New("a checkpoint of axes is damaged")
	checkpointBound = []byte("axes.checkpoint") // what a sealed record is bound to
)

// begin comes before the people are gathered: who is forgotten from then on is not to be kept.
func (c *axesCheckpoint) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped = false
}

// open goes on with a checkpoint of the same population, or begins one. A fault is logged, and
// nothing is kept then: a bank without a checkpoint is better than none.
func (c *axesCheckpoint) open(people [32]byte) *population.Resume {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.found, c.pending, c.flushed = map[[32]byte]int64{}, 0, nil, time.Now()
	if c.dropped {
		return nil
	}
	if err := c.read(people); err != nil {
		c.stop(err)
		return nil
	}
	return &population.Resume{Find: c.find, Keep: c.keep}
}

// read opens the file and finds its records, or makes it anew.
func (c *axesCheckpoint) read(people [32]byte) (err error) {
	path := folder.AxesCheckpoint(c.dir)
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
		if c.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
			return err
		}
		if c.scan(people) {
			return c.file.Truncate(c.size)
		}
		c.file.Close()
	}
	if err := errors.Join(folder.DropAxesCheckpoint(c.dir), folder.MakeBanks(c.dir)); err != nil {
		return err
	}
	if c.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	c.size = 0
	c.append(people[:])
	return c.flush()
}

// scan says whether the file is of the population, and where its records are: as many as are whole.
func (c *axesCheckpoint) scan(people [32]byte) bool {
	r := bufio.NewReaderSize(io.NewSectionReader(c.file, 0, mostCheckpoint), 1<<16)
	head, n, err := c.record(r)
	if err != nil || !bytes.Equal(head, people[:]) {
		return false
	}
	c.size = n
	for {
		fit, n, err := c.record(r)
		if err != nil || len(fit) < checkpointKeys {
			return true
		}
		c.at[[32]byte(fit)] = c.size
		c.size += n
	}
}

// record reads one, and says how many bytes it has in the file.
func (c *axesCheckpoint) record(r io.Reader) (payload []byte, n int64, err error) {
	var head [checkpointHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, 0, err
	}
	size := int64(binary.LittleEndian.Uint32(head[:]))
	var b bytes.Buffer // grows with what is there, whatever the length says
	if n, err := io.CopyN(&b, r, size); err != nil {
		return nil, n, err
	}
	if crc32.Checksum(b.Bytes(), castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, 0, errCheckpoint
	}
	if payload = b.Bytes(); c.seal != nil {
		payload, err = c.seal.Open(nil, nil, payload, checkpointBound)
	}
	return payload, checkpointHead + size, err
}

func (c *axesCheckpoint) append(payload []byte) {
	if c.seal != nil {
		payload = c.seal.Seal(nil, nil, payload, checkpointBound)
	}
	c.pending = binary.LittleEndian.AppendUint32(c.pending, uint32(len(payload)))
	c.pending = binary.LittleEndian.AppendUint32(c.pending, crc32.Checksum(payload, castagnoli))
	c.pending = append(c.pending, payload...)
}

func (c *axesCheckpoint) find(key [32]byte) *population.Fit {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.at[key]
	if c.file == nil || !ok || at >= c.size {
		return nil
	}
	b, _, err := c.record(io.NewSectionReader(c.file, at, c.size-at))
	if err != nil || [32]byte(b) != key {
		return nil
	}
	fit := &population.Fit{Key: key, Steps: int(binary.LittleEndian.Uint32(b[32:]))}
	for b = b[checkpointKeys:]; len(b) >= 8; b = b[8:] {
		fit.X = append(fit.X, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	c.found++
	return fit
}

func (c *axesCheckpoint) keep(fit population.Fit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := int64(checkpointHead + checkpointKeys + 8*len(fit.X))
	if c.file == nil || c.size+int64(len(c.pending))+size > mostCheckpoint || fit.Steps > 0 &&
		time.Since(c.flushed) < stepsEvery {
		return
	}
	b := append(make([]byte, 0, size), fit.Key[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(fit.Steps))
	for _, x := range fit.X {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	c.append(b)
	if time.Since(c.flushed) < checkpointEvery {
		return
	}
	if err := c.flush(); err != nil {
		c.stop(err)
	}
}

// flush writes what is pending. The caller holds mu.
func (c *axesCheckpoint) flush() error {
	if _, err := c.file.WriteAt(c.pending, c.size); err != nil {
		return err
	}
	c.size += int64(len(c.pending))
	c.pending, c.flushed = c.pending[:0], time.Now()
	return c.file.Sync()
}

// stop keeps nothing more. The caller holds mu.
func (c *axesCheckpoint) stop(why error) {
	if c.warn("a TrainBank that is cut off cannot go on: its checkpoint is not written", "error", why); c.file != nil {
		c.file.Close()
		c.file = nil
	}
}

// close leaves the file for the next call, or, of a training that has come to its end, none.
func (c *axesCheckpoint) close(ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil {
		return
	}
	err := c.flush()
	if err = errors.Join(err, c.file.Close()); ended {
		err = folder.DropAxesCheckpoint(c.dir)
	}
	if c.file, c.at, c.pending = nil, nil, nil; err != nil {
		c.warn("a checkpoint of axes", "error", err)
	}
}

// drop removes the checkpoint, that of a training under way too, which keeps nothing more, and
// those of adapters.
func (c *axesCheckpoint) drop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped = true; c.file != nil {
		c.file.Close()
		c.file = nil
	}
	c.at, c.pending = nil, nil
	return folder.DropCheckpoints(c.dir)
}

// dropGathered leaves nothing of what trainings keep of people for their next call, when somebody
// is forgotten.
func (p *Folder) dropGathered() error {
	p.kept.drop()
	p.forgets.Add(1)
	return p.fits.drop()
}

// trainAxes is trainJoint with a checkpoint.
func (p *Folder) trainAxes(ctx context.Context, o *TrainBankOptions, from teachers, threads int) (rep *BankReport,
	err error) {
	if p.fits.seal, err = p.options.cipherOf("xpeft checkpoint of axes 1"); err != nil {
		return nil, err
	}
	p.fits.begin()
	defer func() { p.fits.close(err == nil) }()
	if rep, err = p.trainJoint(ctx, o, from, threads); err != nil {
		return nil, err
	}
	rep.Resumed = p.fits.found
	return rep, nil
}
