package dns_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/netdoctor/netdoctor/testenv/dns"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// What asks: 8 clients with 25 questions in flight each, as dnsperf would.
const (
	benchClients = 8
	benchWindow  = 25
	benchHosts   = 200
)

// BenchmarkLocal compares the answers a second with a UDP echo, which is what
// a socket and a goroutine can do at all, and with the name servers that are
// installed. All are asked in turns, so that what else this machine does
// strikes all alike; the figures of interest are the ratios.
func BenchmarkLocal(b *testing.B) {
	needLab(b)
	echo, _ := pair(b, "127.0.0.1")
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := echo.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = echo.WriteToUDPAddrPort(buf[:n], from) // asked again if lost
			}
		}
	}()
	b.Cleanup(func() { _ = echo.Close() })
	var eps []dns.Endpoint
	for i := range benchHosts {
		eps = append(eps, dns.Endpoint{Names: []string{fmt.Sprintf("web%d", i), fmt.Sprintf("0123456789%02x", i)}, Addrs: addrs(fmt.Sprintf("172.20.1.%d", i+1))})
	}
	ours := run(b, &dns.Server{Records: records(&dns.Zone{Networks: []*dns.Network{dns.NewNetwork("app", eps, nil)}})}, dns.Container{})
	targets := []struct{ name, addr string }{{"echo", echo.LocalAddr().String()}, {"netdoctor", ours.addr}}
	for name, start := range map[string]func(testing.TB) string{"dnsmasq": startDnsmasq, "aardvark": startAardvark} {
		if addr := start(b); addr != "" {
			targets = append(targets, struct{ name, addr string }{name, addr})
		}
	}
	const chunk = 4000
	took := make([]time.Duration, len(targets))
	waits := make([][]time.Duration, len(targets))
	asked := 0
	b.ReportAllocs()
	for b.Loop() {
		for range 10 {
			for i, t := range targets {
				start := time.Now()
				waits[i] = append(waits[i], flood(b, t.addr, chunk)...)
				took[i] += time.Since(start)
			}
			asked += chunk
		}
	}
	for i, t := range targets {
		b.ReportMetric(float64(asked)/took[i].Seconds(), t.name+"/s")
		slices.Sort(waits[i])
		b.ReportMetric(float64(waits[i][len(waits[i])*99/100].Microseconds())/1000, t.name+"-p99-ms")
		if i == 1 {
			continue
		}
		ratio := took[i].Seconds() / took[1].Seconds()
		b.ReportMetric(ratio, "x-"+t.name)
		goal := 1.0
		if t.name == "echo" {
			goal = 0.85
		}
		labtest.AtLeast(b, "answers beside those of "+t.name, ratio, goal)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapInuse)/1e6, "heap-MB")
}

// flood asks n questions and gives how long each was waited for. A question
// without an answer within a second is asked again.
func flood(tb testing.TB, addr string, n int) []time.Duration {
	tb.Helper()
	var (
		all []time.Duration
		mu  sync.Mutex
		wg  sync.WaitGroup
	)
	for k := range benchClients {
		wg.Go(func() {
			got, err := client(addr, n/benchClients, k)
			if err != nil {
				tb.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, got...)
		})
	}
	wg.Wait()
	return all
}

func client(addr string, n, seed int) ([]time.Duration, error) {
	conn, err := net.Dial("udp4", addr)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", addr, err)
	}
	defer func() { _ = conn.Close() }()
	var msgs [][]byte
	for i := range 16 {
		m := new(mdns.Msg)
		m.SetQuestion(fmt.Sprintf("web%d.", (seed*16+i)%benchHosts), mdns.TypeA)
		b, err := m.Pack()
		if err != nil {
			return nil, fmt.Errorf("packing a question: %w", err)
		}
		msgs = append(msgs, b)
	}
	sent := make([]time.Time, n)
	send := func(i int) error {
		m := msgs[i%len(msgs)]
		binary.BigEndian.PutUint16(m, uint16(i))
		sent[i] = time.Now()
		_, err := conn.Write(m)
		return err
	}
	next := 0
	for ; next < min(benchWindow, n); next++ {
		if err := send(next); err != nil {
			return nil, fmt.Errorf("asking %s: %w", addr, err)
		}
	}
	waits := make([]time.Duration, 0, n)
	done := make([]bool, n)
	buf := make([]byte, 512)
	for quiet := 0; len(waits) < n; {
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return nil, fmt.Errorf("asking %s: %w", addr, err)
		}
		k, err := conn.Read(buf)
		if err != nil {
			if quiet++; quiet > 10 {
				return waits, fmt.Errorf("%s answered %d of %d: %w", addr, len(waits), n, err)
			}
			for i := range next {
				if !done[i] {
					_ = send(i) // an error shows as silence
				}
			}
			continue
		}
		i := int(binary.BigEndian.Uint16(buf))
		if k < 12 || i >= n || done[i] {
			continue
		}
		done[i] = true
		waits = append(waits, time.Since(sent[i]))
		if next < n {
			_ = send(next) // as above
			next++
		}
	}
	return waits, nil
}

// startDnsmasq starts dnsmasq with the same names; "" where it isn't installed.
func startDnsmasq(tb testing.TB) string {
	tb.Helper()
	bin := find("dnsmasq")
	if bin == "" {
		return ""
	}
	var hosts strings.Builder
	for i := range benchHosts {
		fmt.Fprintf(&hosts, "172.20.1.%d web%d\n", i+1, i)
	}
	dir := tb.TempDir()
	file := filepath.Join(dir, "hosts")
	if err := os.WriteFile(file, []byte(hosts.String()), 0o644); err != nil {
		tb.Fatal(err)
	}
	start(tb, exec.Command(bin, "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file="+dir+"/pid", "--user=root", "--port=5301", "--no-hosts",
		"--addn-hosts="+file, "--no-resolv", "--listen-address=127.0.0.1", "--bind-interfaces", "--dns-forward-max=1000"))
	return ready(tb, "127.0.0.1:5301")
}

// startAardvark likewise; its files are those that netavark writes.
func startAardvark(tb testing.TB) string {
	tb.Helper()
	bin := find("/usr/lib/podman/aardvark-dns")
	if bin == "" {
		return ""
	}
	var net1 strings.Builder
	net1.WriteString("127.0.0.1\n")
	for i := range benchHosts {
		fmt.Fprintf(&net1, "%064x 172.20.1.%d  web%d\n", i, i+1, i)
	}
	fmt.Fprintf(&net1, "%064x 127.0.0.1  asker\n", benchHosts)
	dir := tb.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "app"), []byte(net1.String()), 0o644); err != nil {
		tb.Fatal(err)
	}
	start(tb, exec.Command(bin, "--config", dir, "--port", "5302", "run"))
	return ready(tb, "127.0.0.1:5302")
}

func find(name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}

func start(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()
	})
}

// ready waits until a server answers, and gives "" when it does not in 10 s.
func ready(t testing.TB, addr string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	m := new(mdns.Msg)
	m.SetQuestion("web1.", mdns.TypeA)
	for ctx.Err() == nil {
		c := mdns.Client{Timeout: 200 * time.Millisecond}
		if a, _, err := c.ExchangeContext(ctx, m, addr); err == nil && len(a.Answer) == 1 {
			return addr
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Logf("%s does not answer: left out", addr)
	return ""
}
