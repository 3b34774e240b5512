package witness

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// dropsPerSecond is how many drops are told of at most; what is beyond is
// counted by the kernel and costs next to nothing.
const dropsPerSecond = 400

// maxWatched bounds the namespaces.
const maxWatched = 4096

// Drops tells of every IP packet that the kernel drops in the namespaces of a
// snapshot. It changes nothing, and nothing of it stays when the process ends.
type Drops struct {
	layout *layout
	sym    symbols
	mu     sync.Mutex
	netns  map[uint32]*snap.Netns

	inodes, rate *ebpf.Map
	closer       closers
	reader       *ringbuf.Reader
	got          chan sighting
	done         chan struct{}
	behind       atomic.Uint64
}

// NewDrops begins. The error says what is missing, as NewTracepoints'.
func NewDrops(s *snap.Snapshot) (*Drops, error) {
	l, err := readLayout()
	if err != nil {
		return nil, judge(err)
	}
	d := &Drops{layout: l, got: make(chan sighting, 4*dropsPerSecond), done: make(chan struct{})}
	if err = d.attach(); err == nil {
		err = d.Watch(s)
	}
	if err != nil {
		_ = d.closer.close() // the error that matters is err
		return nil, judge(err)
	}
	go d.read()
	return d, nil
}

func (d *Drops) attach() (err error) {
	keep := func(c io.Closer) { d.closer = append(d.closer, c) }
	if d.inodes, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: maxWatched}); err != nil {
		return fmt.Errorf("making the table of namespaces: %w", err)
	}
	keep(d.inodes)
	if d.rate, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: rateSize, MaxEntries: 1}); err != nil {
		return fmt.Errorf("making the table of rates: %w", err)
	}
	keep(d.rate)
	ring, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: ringBytes})
	if err != nil {
		return fmt.Errorf("making the table of events: %w", err)
	}
	keep(ring)
	ins := dropProgram(d.layout, d.inodes.FD(), d.rate.FD(), ring.FD(), dropsPerSecond/(1_000_000_000/rateWindow))
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "nd_drops", Type: ebpf.RawTracepoint, License: "GPL", Instructions: ins})
	if err != nil {
		return fmt.Errorf("loading the program for kfree_skb: %w", err)
	}
	keep(prog)
	l, err := attach("kfree_skb", prog)
	if err != nil {
		return fmt.Errorf("attaching to kfree_skb: %w", err)
	}
	keep(l)
	if d.reader, err = ringbuf.NewReader(ring); err != nil {
		return fmt.Errorf("opening the table of events: %w", err)
	}
	return nil
}

// Watch watches this host's namespaces of the snapshot from now on: what others drop,
// that merely run on the same kernel, would hide what is dropped here.
func (d *Drops) Watch(s *snap.Snapshot) error {
	netns := map[uint32]*snap.Netns{}
	for i := range s.Netns {
		if n := uint32(s.Netns[i].Inode); n != 0 && s.Netns[i].Class.Ours() && len(netns) < maxWatched {
			netns[n] = &s.Netns[i]
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := range d.netns {
		if netns[n] == nil {
			_ = d.inodes.Delete(n) // it is gone
		}
	}
	for n := range netns {
		if err := d.inodes.Put(n, uint32(1)); err != nil {
			return fmt.Errorf("filling the table of namespaces: %w", err)
		}
	}
	d.netns = netns
	return nil
}

// Next waits for a drop.
func (d *Drops) Next(ctx context.Context) (snap.Seen, error) {
	select {
	case s := <-d.got:
		s.Func = d.sym.of(s.addr)
		return s.Seen, nil
	case <-d.done:
		return snap.Seen{}, io.EOF
	case <-ctx.Done():
		return snap.Seen{}, ctx.Err()
	}
}

// Skipped are the drops so far that nobody is told of: there were too many.
func (d *Drops) Skipped() uint64 {
	var v [rateSize]byte
	if err := d.rate.Lookup(uint32(0), &v); err != nil {
		return d.behind.Load()
	}
	return binary.NativeEndian.Uint64(v[rateSkipped:]) + d.behind.Load()
}

// Close ends it.
func (d *Drops) Close() error {
	err := d.reader.Close()
	<-d.done
	return errors.Join(err, d.closer.close())
}

func (d *Drops) read() {
	defer close(d.done)
	var rec ringbuf.Record
	for d.reader.ReadInto(&rec) == nil {
		b := rec.RawSample
		if len(b) < evSize {
			continue
		}
		p, ok := parse(b[evPacket:evSize])
		if !ok {
			continue
		}
		s := sighting{addr: binary.NativeEndian.Uint64(b[evFunc:])}
		s.What, s.Src, s.Dst, s.TTL, s.RST, s.ICMP = snap.SeenDrop, p.src, p.dst, p.ttl, p.rst, p.err
		s.Proto = p.proto
		s.Reason = d.layout.reason(binary.NativeEndian.Uint32(b[evReason:]))
		d.mu.Lock()
		s.Netns, s.Device = place(d.netns, b)
		d.mu.Unlock()
		select {
		case d.got <- s:
		default:
			d.behind.Add(1)
		}
	}
}
