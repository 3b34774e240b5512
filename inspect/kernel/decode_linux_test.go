package kernel

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

var update = flag.Bool("update", false, "rewrite the wanted results in testdata")

// messages reads a recording: one message in hex a line.
func messages(t testing.TB, name string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for l := range strings.Lines(string(b)) {
		m, err := hex.DecodeString(strings.TrimSpace(l))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, m)
	}
	return out
}

// decoders are all decoders of route messages by the name of their recording.
func decoders() map[string]func([]byte) (any, bool) {
	return map[string]func([]byte) (any, bool){
		"link": func(b []byte) (any, bool) {
			conf := map[string]string{}
			l, ok := decodeLink(b, conf)
			return map[string]any{"link": l, "sysctls": conf}, ok
		},
		"addr":       func(b []byte) (any, bool) { v, ok := decodeAddr(b); return v, ok },
		"rule":       func(b []byte) (any, bool) { v, ok := decodeRule(b); return v, ok },
		"route4":     func(b []byte) (any, bool) { v, ok := decodeRoute(b); return v, ok },
		"route6":     func(b []byte) (any, bool) { v, ok := decodeRoute(b); return v, ok },
		"nexthop":    func(b []byte) (any, bool) { v, ok := decodeNexthop(b); return v, ok },
		"neigh":      func(b []byte) (any, bool) { v, ok := decodeNeigh(b); return v, ok },
		"fdb":        func(b []byte) (any, bool) { v, _, ok := decodeFDB(b); return v, ok },
		"class":      func(b []byte) (any, bool) { v, ok := decodeHTBClass(b); return v, ok },
		"qdisc":      func(b []byte) (any, bool) { v, ok := decodeQdisc(b); return v.Qdisc, ok },
		"filter":     func(b []byte) (any, bool) { v, ok := decodeFilter(b); return v, ok },
		"socket":     func(b []byte) (any, bool) { v, _, ok := decodeSocket(b, snap.TCP); return v, ok },
		"xfrmpolicy": func(b []byte) (any, bool) { v, ok := decodeXfrmPolicy(b); return v, ok },
		"xfrmstate":  func(b []byte) (any, bool) { v, ok := decodeXfrmState(b); return v, ok },
		"conn":       func(b []byte) (any, bool) { v, ok := decodeConn(b); return v, ok },
	}
}

// What a kernel 6.18 said about the plan of netns_linux_test.go, byte for byte.
func TestDecodeRecorded(t *testing.T) {
	t.Parallel()
	for name, decode := range decoders() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := []any{}
			for _, m := range messages(t, name) {
				if v, ok := decode(m); ok {
					got = append(got, v)
				}
			}
			b, err := json.MarshalIndent(got, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, '\n')
			file := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(file, b, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(b)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// Builders of messages for what the recording kernel lacked.

func nest(typ uint16, parts ...[]byte) []byte { return put(nil, typ, bytes.Join(parts, nil)) }
func u8at(typ uint16, v uint8) []byte         { return put(nil, typ, []byte{v}) }
func u16at(typ, v uint16) []byte              { return put(nil, typ, binary.NativeEndian.AppendUint16(nil, v)) }

func be16at(typ, v uint16) []byte       { return put(nil, typ, binary.BigEndian.AppendUint16(nil, v)) }
func u32at(typ uint16, v uint32) []byte { return putU32(nil, typ, v) }
func be32at(typ uint16, v uint32) []byte {
	return put(nil, typ, binary.BigEndian.AppendUint32(nil, v))
}
func strAt(typ uint16, s string) []byte { return put(nil, typ, append([]byte(s), 0)) }
func words(v ...uint32) []byte {
	var b []byte
	for _, w := range v {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}

func TestDecodeLinkKinds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		info []byte
		want snap.Link
	}{
		{
			"a VLAN of provider tags", nest(unix.IFLA_LINKINFO, strAt(unix.IFLA_INFO_KIND, "vlan"),
				nest(unix.IFLA_INFO_DATA, u16at(unix.IFLA_VLAN_ID, 100), be16at(unix.IFLA_VLAN_PROTOCOL, unix.ETH_P_8021AD))),
			snap.Link{Kind: "vlan", Vlan: &snap.Vlan{ID: 100, Protocol: "802.1ad"}},
		},
		{
			"a VRF", nest(unix.IFLA_LINKINFO, strAt(unix.IFLA_INFO_KIND, "vrf"), nest(unix.IFLA_INFO_DATA, u32at(unix.IFLA_VRF_TABLE, 77))),
			snap.Link{Kind: "vrf", VRF: &snap.VRF{Table: 77}},
		},
		{
			"an ipvlan", nest(unix.IFLA_LINKINFO, strAt(unix.IFLA_INFO_KIND, "ipvlan"),
				nest(unix.IFLA_INFO_DATA, u16at(unix.IFLA_IPVLAN_MODE, 1), u16at(unix.IFLA_IPVLAN_FLAGS, 1))),
			snap.Link{Kind: "ipvlan", Ipvlan: &snap.Ipvlan{Mode: "l3", Flag: "private"}},
		},
		{
			"a bridge that filters by VLAN", nest(unix.IFLA_LINKINFO, strAt(unix.IFLA_INFO_KIND, "bridge"),
				nest(unix.IFLA_INFO_DATA, u8at(unix.IFLA_BR_VLAN_FILTERING, 1), be16at(unix.IFLA_BR_VLAN_PROTOCOL, unix.ETH_P_8021Q),
					u16at(unix.IFLA_BR_VLAN_DEFAULT_PVID, 1), u32at(unix.IFLA_BR_STP_STATE, 1), u8at(unix.IFLA_BR_NF_CALL_IPTABLES, 1))),
			snap.Link{Kind: "bridge", Bridge: &snap.Bridge{STP: true, VlanFiltering: true, VlanProtocol: "802.1Q", DefaultPVID: 1, NFCallIPTables: true}},
		},
		{
			"a generic XDP program", nest(unix.IFLA_XDP, u8at(unix.IFLA_XDP_ATTACHED, 2), u32at(unix.IFLA_XDP_PROG_ID, 42)),
			snap.Link{XDP: &snap.XDP{Mode: "generic", ProgID: 42}},
		},
		{"no XDP program", nest(unix.IFLA_XDP, u8at(unix.IFLA_XDP_ATTACHED, 0)), snap.Link{}},
		{
			"a peer in another namespace", bytes.Join([][]byte{u32at(unix.IFLA_LINK, 5), u32at(unix.IFLA_LINK_NETNSID, 3)}, nil),
			snap.Link{Peer: 5, PeerNSID: 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := decodeLink(append(body(unix.SizeofIfInfomsg, 0), tt.info...), nil)
			want := tt.want
			want.OperState = "unknown"
			if want.PeerNSID == 0 {
				want.PeerNSID = -1
			}
			if d := cmp.Diff(want, got); d != "" || !ok {
				t.Errorf("ok %v (-want +got)\n%s", ok, d)
			}
		})
	}
}

func TestDecodeBridgeVlanRanges(t *testing.T) {
	t.Parallel()
	vlan := func(flags, vid uint16) []byte {
		return put(nil, bridgeVlanInfo, binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, flags), vid))
	}
	msg := body(unix.SizeofIfInfomsg, unix.AF_BRIDGE)
	msg[4] = 7
	msg = append(msg, u32at(unix.IFLA_MASTER, 3)...)
	msg = append(msg, nest(unix.IFLA_AF_SPEC, vlan(bridgeVlanPVID|bridgeVlanUntagged, 1), vlan(bridgeVlanRangeBegin, 10), vlan(bridgeVlanRangeEnd, 12))...)
	got, master := decodeVlans(msg)
	same(t, "master", 3, master)
	same(t, "vlans", []snap.BridgeVlan{
		{Index: 7, VID: 1, PVID: true, Untagged: true}, {Index: 7, VID: 10}, {Index: 7, VID: 11}, {Index: 7, VID: 12},
	}, got)
}

func TestDecodeNetem(t *testing.T) {
	t.Parallel()
	opts := words(0, 1000, math.MaxUint32/10, 0, 0, 0) // latency, limit, loss, gap, duplicate, jitter
	opts = append(opts, put(nil, tcaNetemLatency64, binary.NativeEndian.AppendUint64(nil, 50_000_000))...)
	opts = append(opts, put(nil, tcaNetemRate, words(1_000_000, 0, 0, 0))...)
	msg := append(body(sizeofTcmsg, 0), strAt(unix.TCA_KIND, "netem")...)
	q, ok := decodeQdisc(append(msg, nest(unix.TCA_OPTIONS, opts)...))
	if !ok || q.DelayMs != 50 || math.Abs(q.LossPct-10) > 0.001 || q.RateBps != 8_000_000 {
		t.Errorf("ok %v, %+v; want 50 ms, 10 %%, 8 Mbit/s", ok, q.Qdisc)
	}
}

func TestDecodeFilterActions(t *testing.T) {
	t.Parallel()
	action := func(kind string, opts ...[]byte) []byte {
		return nest(1, strAt(tcaActKind, kind), nest(tcaActOptions, opts...))
	}
	gen := func(verdict int32, more ...uint32) []byte {
		return words(append([]uint32{1, 0, uint32(verdict), 1, 1}, more...)...)
	}
	filter := func(kind string, opts ...[]byte) []byte {
		msg := body(sizeofTcmsg, 0)
		binary.NativeEndian.PutUint32(msg[8:], 1)
		binary.BigEndian.PutUint16(msg[16:], unix.ETH_P_IP)
		binary.NativeEndian.PutUint16(msg[18:], 49152)
		msg = append(msg, strAt(unix.TCA_KIND, kind)...)
		return append(msg, nest(unix.TCA_OPTIONS, opts...)...)
	}
	head := snap.TCFilter{Priority: 49152, Protocol: unix.ETH_P_IP, Handle: 1}
	with := func(kind string, opaque bool, actions ...string) snap.TCFilter {
		f := head
		f.Kind, f.Opaque, f.Actions = kind, opaque, actions
		return f
	}
	tests := []struct {
		name string
		msg  []byte
		want snap.TCFilter
	}{
		{"matchall that drops", filter("matchall", nest(2, action("gact", put(nil, tcaGactParms, gen(2))))), with("matchall", false, "drop")},
		{"flower that passes is opaque", filter("flower", nest(3, action("gact", put(nil, tcaGactParms, gen(0))))), with("flower", true, "ok")},
		{"a drop by chance is not known", filter("matchall", nest(2, action("gact", put(nil, tcaGactParms, gen(2)), put(nil, tcaGactProb, words(1))))), with("matchall", false, "?")},
		{"a copy, then a drop", filter("matchall", nest(2, action("mirred", put(nil, tcaMirredParm, gen(3, 2, 9))),
			nest(2, strAt(tcaActKind, "gact"), nest(tcaActOptions, put(nil, tcaGactParms, gen(2)))))), with("matchall", false, "mirror:9", "drop")},
		{"an action that is not known", filter("matchall", nest(2, action("skbedit"))), with("matchall", false, "?")},
		{"a classifier that is not known", filter("rsvp"), with("rsvp", true, "?")},
		{"a bpf program that decides itself", filter("bpf", strAt(tcaBPFName, "prog"), u32at(tcaBPFFlags, 1)), func() snap.TCFilter {
			f := with("bpf", true, "?")
			f.Name = "prog"
			return f
		}()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := decodeFilter(tt.msg)
			if d := cmp.Diff(tt.want, got); d != "" || !ok {
				t.Errorf("ok %v (-want +got)\n%s", ok, d)
			}
		})
	}
}

func TestDecodeConnOfICMP(t *testing.T) {
	t.Parallel()
	tuple := func(typ uint16, src, dst string, icmpType uint8) []byte {
		return nest(typ,
			nest(ctaTupleIP, put(nil, 1, netip.MustParseAddr(src).AsSlice()), put(nil, 2, netip.MustParseAddr(dst).AsSlice())),
			nest(ctaTupleProto, u8at(ctaProtoNum, 1), be16at(ctaICMPID, 77), u8at(ctaICMPType, icmpType), u8at(ctaICMPCode, 0)))
	}
	msg := body(sizeofNfgenmsg, unix.AF_INET)
	msg = append(msg, tuple(ctaTupleOrig, "192.0.2.1", "198.51.100.1", 8)...)
	msg = append(msg, tuple(ctaTupleReply, "198.51.100.1", "203.0.113.9", 0)...)
	msg = append(msg, be32at(ctaStatus, 1<<1|1<<3|1<<4)...)
	msg = append(msg, be32at(ctaTimeout, 30)...)
	msg = append(msg, be32at(ctaMark, 0x2000)...)
	msg = append(msg, be16at(ctaZone, 5)...)
	got, ok := decodeConn(msg)
	want := snap.Conn{
		Family: snap.IPv4, Proto: 1,
		Orig:   snap.Tuple{Src: netip.MustParseAddrPort("192.0.2.1:77"), Dst: netip.MustParseAddrPort("198.51.100.1:2048")},
		Reply:  snap.Tuple{Src: netip.MustParseAddrPort("198.51.100.1:77"), Dst: netip.MustParseAddrPort("203.0.113.9:0")},
		Status: []string{"seen-reply", "confirmed", "snat"}, TimeoutMs: 30000, Mark: 0x2000, Zone: 5,
	}
	if !ok {
		t.Error("not decoded")
	}
	same(t, "conntrack entry", want, got)
}

func TestDecodeIPVS(t *testing.T) {
	t.Parallel()
	addr := append(netip.MustParseAddr("192.0.2.1").AsSlice(), make([]byte, 12)...)
	s := decodeIPVSService(bytes.Join([][]byte{
		u16at(ipvsSvcAF, unix.AF_INET), u16at(ipvsSvcProto, 6), put(nil, ipvsSvcAddr, addr), be16at(ipvsSvcPort, 80), strAt(ipvsSvcSched, "rr"),
	}, nil))
	same(t, "service", snap.IPVSService{Family: snap.IPv4, Proto: 6, Addr: netip.MustParseAddrPort("192.0.2.1:80"), Sched: "rr", Dests: []snap.IPVSDest{}}, s)
	s = decodeIPVSService(bytes.Join([][]byte{u16at(ipvsSvcAF, unix.AF_INET), u32at(ipvsSvcFWMark, 256), strAt(ipvsSvcSched, "rr")}, nil))
	same(t, "service by mark", snap.IPVSService{Family: snap.IPv4, FWMark: 256, Sched: "rr", Dests: []snap.IPVSDest{}}, s)
	d := decodeIPVSDest(bytes.Join([][]byte{put(nil, ipvsDestAddr, addr), be16at(ipvsDestPort, 8080), u32at(ipvsDestMethod, 2), u32at(ipvsDestWeight, 3)}, nil), snap.IPv4)
	same(t, "server", snap.IPVSDest{Addr: netip.MustParseAddrPort("192.0.2.1:8080"), Weight: 3, Method: "tunnel"}, d)
}

func TestParseSockstat(t *testing.T) {
	t.Parallel()
	s := parseSockstat([]byte("sockets: used 9\nTCP: inuse 0 orphan 0 tw 0 alloc 9 mem 1\nUDP: inuse 2 mem 0\nRAW: inuse 0\nTCP6: inuse 1\nUDP6: inuse 0\n"))
	for _, tt := range []struct {
		proto snap.Proto
		af    uint8
		want  bool
	}{
		{snap.TCP, unix.AF_INET, true},
		{snap.TCP, unix.AF_INET6, false},
		{snap.UDP, unix.AF_INET, false},
		{snap.UDP, unix.AF_INET6, true},
		{snap.SCTP, unix.AF_INET, false},
	} {
		if got := s.none(tt.proto, tt.af); got != tt.want {
			t.Errorf("none of %s, family %d: %v, want %v", tt.proto, tt.af, got, tt.want)
		}
	}
	if sockstat(nil).none(snap.TCP, unix.AF_INET6) {
		t.Error("what could not be read says that there are no sockets")
	}
	if parseSockstat([]byte("TCP: inuse 0 orphan 0 tw 3 alloc 9 mem 1\n")).none(snap.TCP, unix.AF_INET) {
		t.Error("sockets in TIME_WAIT are not asked for")
	}
}

func TestResolveNexthops(t *testing.T) {
	t.Parallel()
	gw := netip.MustParseAddr
	objects := []snap.NexthopObject{
		{ID: 1, Family: snap.IPv4, Oif: 2, Gateway: gw("192.0.2.1")},
		{ID: 2, Family: snap.IPv6, Oif: 3, Gateway: gw("2001:db8::1")},
		{ID: 3, Blackhole: true},
		{ID: 4, Group: []uint32{1, 2}, Weights: []int{1, 5}},
	}
	routes := []snap.Route{
		{Family: snap.IPv4, Type: "unicast", NHID: 1},
		{Family: snap.IPv4, Type: "unicast", NHID: 2},
		{Family: snap.IPv4, Type: "unicast", NHID: 3},
		{Family: snap.IPv4, Type: "unicast", NHID: 4},
		{Family: snap.IPv4, Type: "unicast", NHID: 99},
		{Family: snap.IPv4, Type: "unicast", Oif: 9, NHID: 1},
	}
	resolveNexthops(routes, objects)
	same(t, "routes", []snap.Route{
		{Family: snap.IPv4, Type: "unicast", NHID: 1, Oif: 2, Gateway: gw("192.0.2.1")},
		{Family: snap.IPv4, Type: "unicast", NHID: 2, Oif: 3, Via: gw("2001:db8::1")},
		{Family: snap.IPv4, Type: "blackhole", NHID: 3},
		{Family: snap.IPv4, Type: "unicast", NHID: 4, Nexthops: []snap.Nexthop{{Oif: 2, Gateway: gw("192.0.2.1"), Weight: 1}, {Oif: 3, Gateway: gw("2001:db8::1"), Weight: 5}}},
		{Family: snap.IPv4, Type: "unicast", NHID: 99},
		{Family: snap.IPv4, Type: "unicast", NHID: 1, Oif: 9},
	}, routes)
}

// Cut anywhere, and with any bit turned, a message must not break a decoder.
func FuzzDecode(f *testing.F) {
	for name := range decoders() {
		for _, m := range messages(f, name)[:1] {
			f.Add(m)
		}
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, decode := range decoders() {
			decode(b)
		}
		decodeVlans(b)
		decodeNSID(b)
		decodeIPVSService(b)
		decodeIPVSDest(b, snap.IPv6)
		parseSockstat(b)
	})
}
