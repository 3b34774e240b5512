package dns_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/netdoctor/netdoctor/testenv/dns"
)

// TestSoak asks for local names while everything around is bad: malformed
// queries, names whose upstreams are dead or lie, idle TCP clients, and a table
// that changes all the time. No local answer may be lost or wrong, memory stays
// flat, and descriptors come back. ND_SOAK is the number of queries (make soak:
// a million); else it is a small slice.
func TestSoak(t *testing.T) {
	needLab(t)
	total := 6000
	if s := os.Getenv("ND_SOAK"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		total = n
	}
	before := descriptors(t)
	t.Run("run", func(t *testing.T) { soak(t, total) })
	deadline := time.Now().Add(10 * time.Second)
	for descriptors(t) > before {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors are open, %d were", descriptors(t), before)
		}
		time.Sleep(10 * time.Millisecond) // polled: sockets close behind their goroutines
	}
}

func soak(t *testing.T, total int) {
	t.Helper()
	lies := func(q *mdns.Msg) []*mdns.Msg {
		a := says("192.0.2.66")(q)[0]
		a.Id ^= 0x5555
		return []*mdns.Msg{a, a, a}
	}
	dead, liar, good := world(t, nil), world(t, lies), world(t, says("203.0.113.1"))
	rec := records(small())
	s := &dns.Server{Records: rec, Limits: dns.Limits{Upstream: 20 * time.Millisecond}}
	r := run(t, s, dns.Container{Upstreams: []dns.Upstream{{Addr: dead.addr}, {Addr: liar.addr}, {Addr: good.addr}}})

	ctx, cancel := context.WithCancel(context.Background())
	var around sync.WaitGroup
	defer around.Wait()
	defer cancel()
	var changes, rubbish, outside atomic.Int64
	loop := func(pause time.Duration, do func()) {
		around.Go(func() {
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					do()
				}
			}
		})
	}
	loop(time.Millisecond, func() { rec.zone.Store(small()); changes.Add(1) })
	bad, err := net.Dial("udp4", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bad.Close() }()
	rnd := rand.New(rand.NewPCG(1, 2))
	loop(time.Millisecond, func() {
		m := new(mdns.Msg)
		m.SetQuestion("web.app.", mdns.TypeA)
		m.SetEdns0(1232, false)
		b, err := m.Pack()
		if err != nil {
			return
		}
		for range 3 {
			b[rnd.IntN(len(b))] = byte(rnd.Uint32())
		}
		_, _ = bad.Write(b[:rnd.IntN(len(b))+1]) // nobody waits for an answer
		rubbish.Add(1)
	})
	away, err := net.Dial("udp4", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = away.Close() }()
	loop(time.Millisecond, func() {
		m := new(mdns.Msg)
		m.SetQuestion(fmt.Sprintf("n%d.example.org.", outside.Add(1)), mdns.TypeA)
		if b, err := m.Pack(); err == nil {
			_, _ = away.Write(b) // as above
		}
	})
	for range 1000 {
		c, err := net.Dial("tcp4", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}

	start := heap()
	var lost, wrong atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			l, w, err := patient(r.addr, total/4)
			if err != nil {
				t.Error(err)
			}
			lost.Add(l)
			wrong.Add(w)
		})
	}
	wg.Wait()
	for end := time.Now().Add(10 * time.Second); good.asked.Load() == 0 && time.Now().Before(end); { // a small slice ends before the dead ones were waited for
		time.Sleep(time.Millisecond)
	}
	for range 20 { // a client that has just come is heard beside the idle ones
		if got := seen(r.ask(t, "tcp", "web.", mdns.TypeA, nil)); got != "NOERROR 172.20.0.12" {
			t.Errorf("by TCP: %s", got)
		}
	}
	end := heap()
	t.Logf("%d local queries: %d lost, %d wrong; beside them %d malformed, %d outside names (%d reached the one sound upstream), %d changes; heap %.1f MB, then %.1f MB",
		total, lost.Load(), wrong.Load(), rubbish.Load(), outside.Load(), good.asked.Load(), changes.Load(), start, end)
	if lost.Load()+wrong.Load() > 0 {
		t.Errorf("%d local answers lost, %d wrong", lost.Load(), wrong.Load())
	}
	if end > start+8 { // forwards in flight hold 9 KB each: 512 of them are 5 MB
		t.Errorf("the heap grew from %.1f to %.1f MB", start, end)
	}
	if good.asked.Load() == 0 || rubbish.Load() == 0 || changes.Load() == 0 {
		t.Error("nothing went on beside the local queries")
	}
}

// patient asks one question after the other, 8 in flight, never twice, and
// waits 10 s for each.
func patient(addr string, n int) (lost, wrong int64, err error) {
	conn, err := net.Dial("udp4", addr)
	if err != nil {
		return 0, 0, fmt.Errorf("asking %s: %w", addr, err)
	}
	defer func() { _ = conn.Close() }()
	want := map[string]string{"web.": "NOERROR 172.20.0.12", "db.app.": "NOERROR 172.20.0.13", "myservice.": "NOERROR 172.20.0.100", "tasks.myservice.": "NOERROR 172.20.0.21,172.20.0.22"}
	var names []string
	var msgs [][]byte
	for name := range want {
		m := new(mdns.Msg)
		m.SetQuestion(name, mdns.TypeA)
		b, err := m.Pack()
		if err != nil {
			return 0, 0, fmt.Errorf("packing a question: %w", err)
		}
		names, msgs = append(names, name), append(msgs, b)
	}
	buf := make([]byte, 4096)
	const window = 8
	for i := 0; i < n; i += window {
		for k := range window {
			m := msgs[k%len(msgs)]
			binary.BigEndian.PutUint16(m, uint16(i+k))
			if _, err := conn.Write(m); err != nil {
				return lost, wrong, fmt.Errorf("asking %s: %w", addr, err)
			}
		}
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return lost, wrong, fmt.Errorf("asking %s: %w", addr, err)
		}
		for got := range window {
			k, err := conn.Read(buf)
			if err != nil {
				lost += int64(window - got)
				break
			}
			var m mdns.Msg
			at := int(binary.BigEndian.Uint16(buf)-uint16(i)) % window
			if err := m.Unpack(buf[:k]); err != nil || seen(&m) != want[names[at%len(names)]] {
				wrong++
			}
		}
	}
	return lost, wrong, nil
}

// heap is the live heap in MB.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what the first one's finalizers let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
