package rules

import (
	"context"
	"encoding/binary"
	"net/netip"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// The kernel is the judge: these tests load rules that only count into a
// network namespace of their own, send packets through them, and compare which
// counters grew with which rules the evaluator says have matched.

// inOwnNetns is labtest.InOwnNetns with this package's flag handed on.
func inOwnNetns(t *testing.T, tools ...string) bool {
	t.Helper()
	return labtest.InOwnNetns(t, []string{"-update=" + strconv.FormatBool(*update)}, tools...)
}

func sh(t *testing.T, script string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v\n%s", script, err, out)
	}
}

// bench is a namespace with a veth pair whose end va is this host's, at
// 192.0.2.1/24 and 2001:db8::1/64, and d0 with 203.0.113.1/24 and
// 2001:db8:1::1/64 to forward to. Frames are put in at the end vb; nothing is
// answered.
type bench struct {
	env  *fakeEnv
	sock int
	// inject is the device that frames are put in at.
	inject int
	h      *ns.Handle
}

func newBench(t *testing.T) *bench {
	t.Helper()
	sh(t, `
		ip link set lo up
		ip link add va index 10 address `+macA+` type veth peer name vb index 11 address `+macB+`
		ip link add d0 index 12 address 02:00:00:00:00:0d type veth peer name d1 index 13
		for i in va vb d0 d1; do ip link set $i addrgenmode none; done
		ip addr add 192.0.2.1/24 brd 192.0.2.255 dev va
		ip addr add 203.0.113.1/24 dev d0
		ip link set va up group 3; ip link set vb up; ip link set d0 up group 5; ip link set d1 up
		ip -6 addr add 2001:db8::1/64 dev va nodad
		ip -6 addr add 2001:db8:1::1/64 dev d0 nodad
		ip neigh add 203.0.113.5 lladdr 02:00:00:00:00:55 dev d0
		ip -6 neigh add 2001:db8:1::5 lladdr 02:00:00:00:00:55 dev d0
		echo 1 > /proc/sys/net/ipv4/ip_forward
		echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
		echo 0 > /proc/sys/net/ipv4/conf/va/rp_filter
		echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
		nft 'add table inet mute; add chain inet mute o { type filter hook output priority 300; policy drop; }'`)
	h, err := ns.Self()
	if err != nil {
		t.Fatal(err)
	}
	s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(s); _ = h.Close() })
	return &bench{h: h, sock: s, inject: 11, env: benchEnv()}
}

// sample is a packet as it is put in, and as the evaluator is told.
type sample struct {
	name string
	pkt  Packet
	opts []byte // TCP options
	data []byte
}

// bytes builds the frame with right checksums.
func (f *sample) bytes() []byte {
	p := &f.pkt
	var l4 []byte
	switch p.Proto {
	case snap.IPProtoTCP:
		l4 = make([]byte, 20, 64)
		l4 = append(l4, f.opts...)
		l4[12], l4[13] = byte(len(l4)/4)<<4, p.TCPFlags
		binary.BigEndian.PutUint32(l4[4:], 0x01020304)
		binary.BigEndian.PutUint16(l4[14:], 1024)
	case snap.IPProtoUDP:
		l4 = make([]byte, 8)
		binary.BigEndian.PutUint16(l4[4:], uint16(8+len(f.data)))
	case snap.IPProtoICMP, snap.IPProtoICMPv6:
		l4 = []byte{p.ICMPType, p.ICMPCode, 0, 0, byte(p.Sport >> 8), byte(p.Sport), 0, 1}
	default:
		l4 = make([]byte, 12)
	}
	if p.hasPorts() {
		binary.BigEndian.PutUint16(l4, p.Sport)
		binary.BigEndian.PutUint16(l4[2:], p.Dport)
	}
	l4 = append(l4, f.data...)
	p.Len = len(l4) + 20
	if p.Family == snap.IPv6 {
		p.Len = len(l4) + 40
	}
	sum := func(b []byte) uint16 {
		var s uint32
		for i := 0; i < len(b); i += 2 {
			s += uint32(b[i]) << 8
			if i+1 < len(b) {
				s += uint32(b[i+1])
			}
		}
		for s>>16 != 0 {
			s = s&0xffff + s>>16
		}
		return ^uint16(s)
	}
	pseudo := append(append(p.Src.AsSlice(), p.Dst.AsSlice()...), 0, p.Proto, byte(len(l4)>>8), byte(len(l4)))
	switch p.Proto {
	case snap.IPProtoTCP:
		binary.BigEndian.PutUint16(l4[16:], sum(append(pseudo, l4...)))
	case snap.IPProtoUDP:
		binary.BigEndian.PutUint16(l4[6:], sum(append(pseudo, l4...)))
	case snap.IPProtoICMP:
		binary.BigEndian.PutUint16(l4[2:], sum(l4))
	case snap.IPProtoICMPv6:
		binary.BigEndian.PutUint16(l4[2:], sum(append(pseudo, l4...)))
	}
	var out []byte
	for _, m := range []string{p.DstMAC, p.SrcMAC} {
		b, _ := parseMAC(m)
		out = append(out, b[:]...)
	}
	if p.VLAN != 0 {
		out = append(out, 0x81, 0, byte(p.VLAN>>8), byte(p.VLAN))
	}
	if p.Family == snap.ARP {
		p.Len = 28
		out = append(out, 8, 6, 0, 1, 8, 0, 6, 4, 0, byte(p.ARPOp))
		sha, _ := parseMAC(p.SrcMAC)
		return cat(out, sha[:], p.Src.AsSlice(), make([]byte, 6), p.Dst.AsSlice())
	}
	if p.Family == snap.IPv6 {
		out = append(out, 0x86, 0xdd, 0x60|p.TOS>>4, p.TOS<<4|1, 2, 3, byte(len(l4)>>8), byte(len(l4)), p.Proto, p.TTL)
		out = append(append(out, p.Src.AsSlice()...), p.Dst.AsSlice()...)
		return append(out, l4...)
	}
	ip := []byte{0x45, p.TOS, byte(p.Len >> 8), byte(p.Len), 0x12, 0x34, byte(bit16(p.DF, 0x4000) >> 8), 0, p.TTL, p.Proto, 0, 0}
	ip = append(append(ip, p.Src.AsSlice()...), p.Dst.AsSlice()...)
	binary.BigEndian.PutUint16(ip[10:], sum(ip))
	return append(append(append(out, 8, 0), ip...), l4...)
}

// send puts the frame in at b, so that it comes in by a.
func (j *bench) send(t *testing.T, f *sample) {
	t.Helper()
	if err := unix.Sendto(j.sock, f.bytes(), 0, &unix.SockaddrLinklayer{Ifindex: j.inject, Halen: 6}); err != nil {
		t.Fatal(err)
	}
}

// counted are the packets that each rule of the chain has counted.
func (j *bench) counted(t *testing.T, table, chain string) (*snap.Ruleset, []int64) {
	t.Helper()
	rs, gaps := kernel.ReadRuleset(context.Background(), j.h)
	if len(gaps) > 0 {
		t.Fatal(gaps)
	}
	for i := range rs.Tables {
		if rs.Tables[i].Name != table {
			continue
		}
		if c := rs.Tables[i].Chain(chain); c != nil {
			var n []int64
			for k := range c.Rules {
				n = append(n, c.Rules[k].Packets)
			}
			return &rs, n
		}
	}
	t.Fatalf("no chain %s in table %s", chain, table)
	return nil, nil
}

// compare runs one chain of counting rules against all frames of a family, of
// which the first rule counts every packet. adjust says how the packet looks
// at that hook; false leaves it out.
func (j *bench) compare(t *testing.T, rec *record, fam snap.Family, frames []sample, send func(*testing.T, *sample), adjust func(*Packet) bool) {
	t.Helper()
	for fi := range frames {
		f := frames[fi]
		pkt := f.pkt
		if fam != snap.Inet && f.pkt.Family != fam || adjust != nil && !adjust(&pkt) {
			continue
		}
		_, before := j.counted(t, rec.Table, rec.Chain)
		if len(before) != len(rec.Texts) {
			t.Fatalf("%d rules in the kernel, want %d", len(before), len(rec.Texts))
		}
		send(t, &f)
		var rs *snap.Ruleset
		var after []int64
		for deadline := time.Now().Add(2 * time.Second); ; {
			rs, after = j.counted(t, rec.Table, rec.Chain)
			if after[0] > before[0] {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s did not arrive", f.name)
			}
		}
		rec.Rules, rec.Now = *rs, time.Now()
		for i := range after {
			after[i] -= before[i]
		}
		rec.Tallies = append(rec.Tallies, tally{f.name, pkt, after})
	}
	rec.check(t, j.env)
	rec.save(t)
}

func frames() []sample {
	addr := netip.MustParseAddr
	mss := []byte{2, 4, 5, 180, 4, 2, 1, 1}
	base := Packet{
		Family: snap.IPv4, Proto: snap.IPProtoTCP, Src: addr("192.0.2.10"), Dst: addr("192.0.2.1"), Sport: 40000, Dport: 80, TTL: 64, DF: true,
		SrcMAC: macB, DstMAC: macA, PktType: "host", Iif: 10, TCPFlags: 2, TCPMSS: 1460,
	}
	with := func(name string, change func(*Packet), opts, data []byte) sample {
		p := base
		change(&p)
		if p.Proto != snap.IPProtoTCP {
			p.TCPFlags, p.TCPMSS = 0, 0
		}
		if data != nil {
			p.Payload = data
		}
		f := sample{name: name, pkt: p, opts: opts, data: data}
		f.bytes() // sets the length
		p.Len = f.pkt.Len
		p.CT.State = "new"
		p.CT.Orig = snap.Tuple{Src: netip.AddrPortFrom(p.Src, p.Sport), Dst: netip.AddrPortFrom(p.Dst, p.Dport)}
		if echo(&p) {
			p.CT.Orig.Dst = netip.AddrPortFrom(p.Dst, uint16(p.ICMPType)<<8)
		}
		p.CT.ReplyTuple = snap.Tuple{Src: p.CT.Orig.Dst, Dst: p.CT.Orig.Src}
		f.pkt = p
		return f
	}
	six := func(p *Packet) {
		p.Family, p.Src, p.Dst = snap.IPv6, addr("2001:db8::10"), addr("2001:db8::1")
	}
	return []sample{
		with("SYN", func(*Packet) {}, mss, nil),
		with("SYN with TOS, forwarded", func(p *Packet) {
			p.Dst, p.TOS, p.TTL, p.Sport, p.Dport, p.DF = addr("203.0.113.5"), 0x2a, 17, 1000, 8080, false
		}, mss, nil),
		with("SYN without options", func(p *Packet) { p.Sport, p.Dport, p.TCPMSS = 40001, 443, 0 }, nil, nil),
		with("DNS question", func(p *Packet) { p.Proto, p.Sport, p.Dport = snap.IPProtoUDP, 5353, 53 }, nil, []byte("some question here")),
		with("forwarded UDP", func(p *Packet) {
			p.Proto, p.Sport, p.Dport, p.Dst = snap.IPProtoUDP, 53, 40000, addr("203.0.113.5")
		}, nil, []byte{1, 2, 3}),
		with("broadcast", func(p *Packet) {
			p.Proto, p.Sport, p.Dport, p.Dst, p.PktType, p.DstMAC = snap.IPProtoUDP, 137, 137, addr("192.0.2.255"), "broadcast", "ff:ff:ff:ff:ff:ff"
		}, nil, []byte("x")),
		with("multicast", func(p *Packet) {
			p.Proto, p.Sport, p.Dport, p.Dst, p.PktType, p.DstMAC = snap.IPProtoUDP, 5353, 5353, addr("224.0.0.251"), "multicast", "01:00:5e:00:00:fb"
		}, nil, []byte("mdns")),
		with("ping", func(p *Packet) { p.Proto, p.ICMPType, p.Sport, p.Dport = snap.IPProtoICMP, 8, 77, 0 }, nil, []byte("abcdefgh")),
		with("GRE", func(p *Packet) { p.Proto, p.Sport, p.Dport, p.Src = 99, 0, 0, addr("192.0.2.77") }, nil, []byte("payload!")),
		with("IPv6 SYN", func(p *Packet) { six(p); p.TOS = 0x28 }, mss, nil),
		with("IPv6 DNS question", func(p *Packet) { six(p); p.Proto, p.Sport, p.Dport = snap.IPProtoUDP, 5353, 53 }, nil, []byte("six")),
		with("IPv6 ping, forwarded", func(p *Packet) {
			six(p)
			p.Proto, p.ICMPType, p.Sport, p.Dport, p.Dst = snap.IPProtoICMPv6, 128, 78, 0, addr("2001:db8:1::5")
		}, nil, []byte("ping")),
	}
}
