package witness

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/probe"
)

// ringBytes holds some 10,000 events, far more than a run of probes makes.
const ringBytes = 2 << 20

// Tracepoints watches by three raw tracepoints of the kernel: each device that
// a packet crosses in each namespace, and why it was freed. It implements
// probe.Observer.
type Tracepoints struct {
	layout *layout
	netns  map[uint32]*snap.Netns
	leaves map[device]bool
	sym    symbols

	wanted *ebpf.Map
	closer closers
	reader *ringbuf.Reader
	done   chan struct{}

	mu      sync.Mutex
	follows map[key][]*follower
	waiting []chan struct{}
}

// NewTracepoints attaches them for all namespaces of the snapshot. The caller
// closes it. The error says what is missing: snap.ErrPermission without
// CAP_BPF, snap.ErrUnsupported where the kernel has no such thing.
func NewTracepoints(s *snap.Snapshot) (*Tracepoints, error) {
	l, err := readLayout()
	if err != nil {
		return nil, judge(err)
	}
	t := &Tracepoints{layout: l, netns: map[uint32]*snap.Netns{}, leaves: leaving(s), follows: map[key][]*follower{}, done: make(chan struct{})}
	if err := t.attach(s); err != nil {
		_ = t.closer.close() // the error that matters is err
		return nil, judge(err)
	}
	go t.read()
	return t, nil
}

// judge makes errors of the kernel into ours.
func judge(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: %w", snap.ErrPermission, err)
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT), errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w: %w", snap.ErrUnsupported, err)
	}
	return err
}

// closers are what a witness holds in the kernel, in the order it was made.
type closers []io.Closer

// close lets go of all, the last one first: a program before the tables that it
// writes to.
func (c closers) close() error {
	var err error
	for i := len(c) - 1; i >= 0; i-- {
		err = errors.Join(err, c[i].Close())
	}
	return err
}

func (t *Tracepoints) attach(s *snap.Snapshot) error {
	table := func(what string, spec *ebpf.MapSpec) (*ebpf.Map, error) {
		m, err := ebpf.NewMap(spec)
		if err != nil {
			return nil, fmt.Errorf("making the table of %s: %w", what, err)
		}
		t.closer = append(t.closer, m)
		return m, nil
	}
	inodes, err := table("namespaces", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: uint32(len(s.Netns) + 1)})
	if err != nil {
		return err
	}
	if t.wanted, err = table("probes", &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 1, MaxEntries: 1 << 16}); err != nil {
		return err
	}
	ring, err := table("events", &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: ringBytes})
	if err != nil {
		return err
	}
	for i := range s.Netns {
		n := uint32(s.Netns[i].Inode)
		if n == 0 {
			continue
		}
		t.netns[n] = &s.Netns[i]
		if err := inodes.Put(n, uint32(1)); err != nil {
			return fmt.Errorf("filling the table of namespaces: %w", err)
		}
	}
	m := maps{netns: inodes.FD(), ids: t.wanted.FD(), ring: ring.FD()}
	for _, p := range []struct {
		name string
		kind int32
	}{{"kfree_skb", kindDrop}, {"netif_receive_skb", kindReceive}, {"net_dev_start_xmit", kindTransmit}} {
		prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "nd_" + p.name[:8], Type: ebpf.RawTracepoint, License: "GPL", Instructions: program(p.kind, t.layout, m)})
		if err != nil {
			return fmt.Errorf("loading the program for %s: %w", p.name, err)
		}
		t.closer = append(t.closer, prog)
		l, err := attach(p.name, prog)
		if err != nil {
			return fmt.Errorf("attaching to %s: %w", p.name, err)
		}
		t.closer = append(t.closer, l)
	}
	if t.reader, err = ringbuf.NewReader(ring); err != nil {
		return fmt.Errorf("opening the table of events: %w", err)
	}
	return nil
}

// Close detaches.
func (t *Tracepoints) Close() error {
	err := t.reader.Close()
	<-t.done
	return errors.Join(err, t.closer.close())
}

// Follow begins to look out for the packets of a probe.
func (t *Tracepoints) Follow(id probe.Identity) probe.Follower {
	f := newFollower(id, t.release, t.sym.of)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.follows[f.key] = append(t.follows[f.key], f)
	if err := t.want(f.key.id); err != nil {
		t.drop(f)
		return nil // not watched: it is then not Watched
	}
	return f
}

// want writes what is wanted of a number. t.mu is held.
func (t *Tracepoints) want(n uint16) error {
	var bits uint8
	if len(t.follows[key{false, n}]) > 0 {
		bits |= wantPort
	}
	if len(t.follows[key{true, n}]) > 0 {
		bits |= wantID
	}
	return t.wanted.Put(uint32(n), bits)
}

// drop forgets a follower. t.mu is held.
func (t *Tracepoints) drop(f *follower) {
	list := t.follows[f.key]
	for i := range list {
		if list[i] == f {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(t.follows, f.key)
	} else {
		t.follows[f.key] = list
	}
}

// release ends the look-out for a probe after all that happened until now was
// read; false: the reader did not get that far.
func (t *Tracepoints) release(f *follower) (all bool) {
	ch := make(chan struct{})
	t.mu.Lock()
	t.waiting = append(t.waiting, ch)
	t.mu.Unlock()
	if t.reader.Flush() == nil {
		late := time.NewTimer(time.Second) // only on a machine that does nothing any more
		select {
		case <-ch:
			all = true
		case <-t.done:
		case <-late.C:
		}
		late.Stop()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(f)
	_ = t.want(f.key.id) // it stays wanted at worst: nobody follows it then
	return all
}

// read takes in events until the end.
func (t *Tracepoints) read() {
	defer close(t.done)
	var rec ringbuf.Record
	for {
		err := t.reader.ReadInto(&rec)
		switch {
		case errors.Is(err, ringbuf.ErrFlushed):
			t.mu.Lock()
			for _, ch := range t.waiting {
				close(ch)
			}
			t.waiting = nil
			t.mu.Unlock()
		case err != nil:
			return // closed
		default:
			t.event(rec.RawSample)
		}
	}
}

// event gives a packet to the probe that it belongs to.
func (t *Tracepoints) event(b []byte) {
	if len(b) < evSize {
		return
	}
	p, ok := parse(b[evPacket:evSize])
	if !ok {
		return
	}
	q, a := p.of()
	answer := false
	t.mu.Lock()
	list := t.follows[q]
	if len(list) == 0 {
		list, answer = t.follows[a], true
	}
	list = append([]*follower(nil), list...)
	t.mu.Unlock()
	if len(list) == 0 {
		return
	}
	s := t.sighting(b, &p)
	s.Answer = answer
	for _, f := range list {
		f.add(s)
	}
}

func (t *Tracepoints) sighting(b []byte, p *packet) sighting {
	s := sighting{at: binary.NativeEndian.Uint64(b[evTime:])}
	s.Src, s.Dst, s.TTL, s.RST, s.ICMP = p.src, p.dst, p.ttl, p.rst, p.err
	index := int(binary.NativeEndian.Uint32(b[evDevice:]))
	s.Netns, s.Device = place(t.netns, b)
	switch binary.NativeEndian.Uint32(b[evKind:]) {
	case kindDrop:
		s.What = snap.SeenDrop
		s.addr = binary.NativeEndian.Uint64(b[evFunc:])
		s.Reason = t.layout.reason(binary.NativeEndian.Uint32(b[evReason:]))
	case kindReceive:
		s.What = snap.SeenReceive
	case kindTransmit:
		s.What = snap.SeenTransmit
		s.out = t.leaves[device{s.Netns, index}]
	}
	return s
}

// place is the namespace and the device of an event.
func place(netns map[uint32]*snap.Netns, b []byte) (id, device string) {
	n := netns[binary.NativeEndian.Uint32(b[evNetns:])]
	if n == nil {
		return "", ""
	}
	if l := n.LinkAt(int(binary.NativeEndian.Uint32(b[evDevice:]))); l != nil {
		device = l.Name
	}
	return n.ID, device
}
