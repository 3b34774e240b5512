package rules

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nlAttr is one netlink attribute, in host order for its header.
func nlAttr(typ uint16, v []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(v)))
	b = append(binary.NativeEndian.AppendUint16(b, typ), v...)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

func cat(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// ipsetCall sends one request to ipset and waits for the answer
// (include/uapi/linux/netfilter/ipset/ip_set.h).
func ipsetCall(t *testing.T, cmd uint16, attrs []byte) error {
	t.Helper()
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(s) }()
	body := cat([]byte{unix.AF_INET, 0, 0, 0}, nlAttr(1, []byte{6}), attrs) // IPSET_ATTR_PROTOCOL
	msg := binary.NativeEndian.AppendUint32(nil, uint32(16+len(body)))
	msg = binary.NativeEndian.AppendUint16(msg, 6<<8|cmd) // NFNL_SUBSYS_IPSET
	msg = binary.NativeEndian.AppendUint16(msg, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE)
	msg = cat(msg, []byte{1, 0, 0, 0, 0, 0, 0, 0}, body)
	if err := unix.Sendto(s, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(s, buf, 0)
	if err != nil || n < 20 {
		t.Fatal(n, err)
	}
	if e := int32(binary.NativeEndian.Uint32(buf[16:])); e != 0 {
		return unix.Errno(-e)
	}
	return nil
}

const nested = unix.NLA_F_NESTED

// Attributes of an entry.
func setIP(typ uint16, s string) []byte {
	p := netip.MustParsePrefix(s)
	kind := uint16(1)
	if p.Addr().Is6() {
		kind = 2
	}
	cidr := uint16(3)
	if typ == 20 {
		cidr = 21
	}
	out := nlAttr(typ|nested, nlAttr(kind|unix.NLA_F_NET_BYTEORDER, p.Addr().AsSlice()))
	if p.Bits() < p.Addr().BitLen() {
		out = append(out, nlAttr(cidr, []byte{byte(p.Bits())})...)
	}
	return out
}

func setPort16(typ, port uint16) []byte {
	return nlAttr(typ|unix.NLA_F_NET_BYTEORDER, binary.BigEndian.AppendUint16(nil, port))
}

func set32(typ uint16, v uint32) []byte {
	return nlAttr(typ|unix.NLA_F_NET_BYTEORDER, binary.BigEndian.AppendUint32(nil, v))
}

type testSet struct {
	name, typ string
	family    byte
	create    []byte
	entries   [][]byte
}

func testSets() []testSet {
	ip := func(s string) []byte { return setIP(1, s) }
	ip2 := func(s string) []byte { return setIP(20, s) }
	port := func(proto byte, n uint16) []byte { return cat(nlAttr(7, []byte{proto}), setPort16(4, n)) }
	nomatch := set32(8, 4)
	name := func(typ uint16, s string) []byte { return nlAttr(typ, append([]byte(s), 0)) }
	return []testSet{
		{"ip", "hash:ip", 2, nil, [][]byte{ip("192.0.2.10/32"), ip("203.0.113.5/32")}},
		{"ip6", "hash:ip", 10, nil, [][]byte{ip("2001:db8::10/128")}},
		{"net", "hash:net", 2, nil, [][]byte{ip("192.0.2.0/24"), cat(ip("192.0.2.64/26"), nomatch), ip("192.0.2.77/32"), cat(ip("192.0.2.10/32"), nomatch)}},
		{"ipport", "hash:ip,port", 2, nil, [][]byte{cat(ip("192.0.2.10/32"), port(6, 80)), cat(ip("192.0.2.10/32"), port(17, 53)), cat(ip("192.0.2.10/32"), port(1, 0x0800))}},
		{"netport", "hash:net,port", 2, nil, [][]byte{cat(ip("192.0.2.0/24"), port(6, 443)), cat(ip("192.0.2.0/25"), port(17, 53), nomatch), cat(ip("192.0.2.0/24"), port(17, 53))}},
		{"netnet", "hash:net,net", 2, nil, [][]byte{cat(ip("192.0.2.0/24"), ip2("203.0.113.0/24")), cat(ip("192.0.2.10/32"), ip2("192.0.2.0/24")), cat(ip("192.0.2.0/24"), ip2("192.0.2.1/32"), nomatch)}},
		{"ipportip", "hash:ip,port,ip", 2, nil, [][]byte{cat(ip("192.0.2.10/32"), port(6, 80), ip2("192.0.2.1/32"))}},
		{"ipportnet", "hash:ip,port,net", 2, nil, [][]byte{cat(ip("192.0.2.10/32"), port(6, 8080), ip2("203.0.113.0/24"))}},
		{"netiface", "hash:net,iface", 2, nil, [][]byte{cat(ip("192.0.2.0/24"), name(23, "va")), cat(ip("203.0.113.0/24"), name(23, "vb"))}},
		{"mac", "hash:mac", 0, nil, [][]byte{nlAttr(17, []byte{2, 0, 0, 0, 0, 0xb})}},
		{"ipmac", "hash:ip,mac", 2, nil, [][]byte{cat(ip("192.0.2.10/32"), nlAttr(17, []byte{2, 0, 0, 0, 0, 0xb}))}},
		{"ipmark", "hash:ip,mark", 2, nil, [][]byte{cat(ip("192.0.2.10/32"), set32(10, 0)), cat(ip("203.0.113.5/32"), set32(10, 7))}},
		{"bport", "bitmap:port", 0, cat(setPort16(4, 1), setPort16(5, 1000)), [][]byte{setPort16(4, 80), setPort16(4, 53)}},
		{"bip", "bitmap:ip", 2, cat(ip("192.0.2.0/32"), setIP(2, "192.0.2.255/32")), [][]byte{ip("192.0.2.10/32"), ip("192.0.2.1/32")}},
		{"list", "list:set", 0, nil, [][]byte{name(18, "net"), name(18, "ipport")}},
	}
}

// matchesIPSet are set matches for all of testSets.
func matchesIPSet() []string {
	out := []string{""}
	for set, dims := range map[string][]string{
		"ip": {"src", "dst"}, "ip6": {"src"}, "net": {"src", "dst", "src --return-nomatch"}, "ipport": {"src,dst", "src,src", "dst,dst"}, "netport": {"src,dst", "dst,src"},
		"netnet": {"src,dst", "dst,src", "src,dst --return-nomatch"}, "ipportip": {"src,dst,dst", "src,src,dst"}, "ipportnet": {"src,dst,dst"}, "netiface": {"src,src", "dst,src"},
		"mac": {"src", "dst"}, "ipmac": {"src,src", "src,dst"}, "ipmark": {"src,src", "dst,dst"}, "bport": {"dst", "src"}, "bip": {"src", "dst"}, "list": {"src,dst", "dst,dst", "src"},
	} {
		for _, d := range dims {
			out = append(out, fmt.Sprintf("-m set --match-set %s %s", set, d), fmt.Sprintf("-m set ! --match-set %s %s", set, d))
		}
	}
	slices.Sort(out)
	return out
}

func TestKernelAgreesIPSet(t *testing.T) {
	if !inOwnNetns(t, "nft", "ip", "iptables-legacy") {
		return
	}
	b := newBench(t)
	text := func(typ uint16, s string) []byte { return nlAttr(typ, append([]byte(s), 0)) }
	for _, s := range testSets() {
		attrs := cat(text(2, s.name), text(3, s.typ), nlAttr(4, []byte{0}), nlAttr(5, []byte{s.family}), nlAttr(7|nested, s.create))
		err := ipsetCall(t, 2, attrs)
		for rev := byte(1); err != nil && rev < 9; rev++ {
			attrs = cat(text(2, s.name), text(3, s.typ), nlAttr(4, []byte{rev}), nlAttr(5, []byte{s.family}), nlAttr(7|nested, s.create))
			err = ipsetCall(t, 2, attrs)
		}
		if err != nil {
			t.Logf("the kernel refuses a set %s: %v", s.typ, err)
			continue
		}
		for _, e := range s.entries {
			if err := ipsetCall(t, 9, cat(text(2, s.name), nlAttr(7|nested, e), set32(9, 0))); err != nil {
				t.Errorf("entry of %s: %v", s.name, err)
			}
		}
	}
	rec := &record{Name: "ipset", Table: "mangle", Chain: "PREROUTING"}
	rec.load(t, "iptables-legacy", matchesIPSet())
	sets, err := kernel.ReadIPSets(context.Background(), b.h)
	if err != nil {
		t.Fatal(err)
	}
	rec.IPSets = sets
	b.compare(t, rec, snap.IPv4, frames(), b.send, nil)
}
