package firewall

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// say puts all rules and sets of a table into words, as their own tools do.
func say(t *snap.Table) {
	ns := host()
	for i := range t.Chains {
		for j := range t.Chains[i].Rules {
			_ = RuleText(ns, t, &t.Chains[i], &t.Chains[i].Rules[j])
		}
	}
	for i := range t.Sets {
		for j := range t.Sets[i].Elements {
			_ = ElementText(ns, &t.Sets[i], &t.Sets[i].Elements[j])
		}
	}
}

// FuzzExprs decodes the expressions of a rule, and prints what it got.
func FuzzExprs(f *testing.F) {
	for _, name := range nftFixtures() {
		for _, t := range load[[]recordedTable](f, name) {
			for _, r := range t.Rules {
				f.Add(r.Raw)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := decodeExprs(b)
		if err != nil {
			return
		}
		for _, fam := range []snap.Family{snap.IPv4, snap.IPv6, snap.Inet, snap.BridgeFamily, snap.ARP, snap.Netdev} {
			for _, sys := range []snap.System{snap.NFT, snap.IPTablesNFT} {
				say(&snap.Table{System: sys, Family: fam, Name: "t", Chains: []snap.Chain{{Name: "c", Rules: []snap.Rule{{Num: 1, Handle: 1, Exprs: x}}}}})
			}
		}
		for _, e := range x {
			if xt, ok := e.(*snap.Xt); ok {
				for _, v6 := range []bool{false, true} {
					_, _ = DecodeXt(xt, v6) // an error is an answer
				}
			}
		}
	})
}

// FuzzXt decodes the data of a match or target of iptables, under any name.
func FuzzXt(f *testing.F) {
	names := map[string]bool{}
	for _, name := range nftFixtures() {
		for _, t := range load[[]recordedTable](f, name) {
			for _, r := range t.Rules {
				x, err := decodeExprs(r.Raw)
				if err != nil {
					continue
				}
				for _, e := range x {
					if xt, ok := e.(*snap.Xt); ok && !names[xt.Name] {
						names[xt.Name] = true
						f.Add(xt.Name, xt.Rev, xt.Target, xt.Info)
					}
				}
			}
		}
	}
	if len(names) < 20 {
		f.Fatalf("only %d kinds are recorded", len(names))
	}
	f.Fuzz(func(t *testing.T, name string, rev uint8, target bool, data []byte) {
		xt := &snap.Xt{Name: name, Rev: rev, Target: target, Info: data}
		for _, v6 := range []bool{false, true} {
			_, _ = DecodeXt(xt, v6) // an error is an answer
			fam := snap.IPv4
			if v6 {
				fam = snap.IPv6
			}
			for _, sys := range []snap.System{snap.NFT, snap.IPTablesNFT, snap.IPTablesLegacy} {
				say(&snap.Table{System: sys, Family: fam, Name: "filter", Chains: []snap.Chain{{Name: "c", Rules: []snap.Rule{{Num: 1, Exprs: snap.Exprs{xt}}}}}})
			}
		}
	})
}

// FuzzLegacy decodes the table of iptables-legacy: offsets that lead anywhere.
func FuzzLegacy(f *testing.F) {
	for _, name := range legacyFixtures() {
		for _, b := range load[[]recordedBlob](f, name) {
			f.Add(b.V6, b.Info, b.Entries[:min(len(b.Entries), 8192)])
		}
	}
	f.Fuzz(func(t *testing.T, v6 bool, info, entries []byte) {
		in, err := DecodeLegacyInfo(info)
		if err != nil {
			return
		}
		in.Size = uint32(len(entries))
		if tab, err := DecodeLegacy(v6, in, entries); err == nil {
			say(&tab)
		}
	})
}

// FuzzObjects decodes everything else that nf_tables and ipset send.
func FuzzObjects(f *testing.F) {
	f.Add([]byte{8, 0, 1, 0, 't', 0, 0, 0, 8, 0, 2, 0, 's', 0, 0, 0, 8, 0, 3, 0, 0, 0, 0, 4, 8, 0, 5, 0, 0, 0, 0, 4})
	f.Add([]byte{5, 0, 1, 0, 7, 0, 0, 0, 6, 0, 2, 0, 'a', 0, 0, 0, 12, 0, 3, 0, 'h', 'a', 's', 'h', ':', 'i', 'p', 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, fam := range []uint8{1, 2, 3, 5, 7, 10} {
			_, _ = DecodeTable(fam, b)
			_, _ = DecodeChain(fam, b)
		}
		_, _ = DecodeRule("t", "c", b)
		_, _, _ = DecodeObject(b)
		_, _, _ = DecodeFlowtable(b)
		_, _ = DecodeGeneration(b)
		_, _ = DecodeIPSet(b)
		_, _ = DecodeIPSetIndex(b)
		_, s, err := DecodeSet(b)
		if err != nil {
			s = snap.Set{Name: "s", KeyLen: 4, Interval: len(b)%2 == 0}
		}
		if raw, err := DecodeElements(&s, b); err == nil {
			s.Elements = Join(&s, raw)
			say(&snap.Table{System: snap.NFT, Family: snap.IPv4, Name: "t", Sets: []snap.Set{s}})
		}
	})
}

// FuzzTrace decodes what the kernel tells of a packet on its way.
func FuzzTrace(f *testing.F) {
	f.Add([]byte{8, 0, 6, 0, 0, 0, 0, 1, 6, 0, 1, 0, 'f', 0, 0, 0, 6, 0, 2, 0, 'c', 0, 0, 0, 8, 0, 4, 0, 0, 0, 0, 1, 8, 0, 16, 0, 0, 0, 0, 1}, "TRACE: filter:FORWARD:rule:3 ")
	f.Add([]byte{8, 0, 4, 0, 0, 0, 0, 3}, "TRACE: nat:A:B:policy:1 ")
	f.Fuzz(func(t *testing.T, b []byte, prefix string) {
		for _, fam := range []uint8{nfProtoInet, nfProtoIPv4, nfProtoBridge, 0} {
			if m, ok, err := DecodeTrace(fam, b); ok && (err != nil || m.Table == "" || m.Chain == "") {
				t.Errorf("%+v of a malformed message (%v)", m, err)
			}
		}
		if m, err := DecodeLog(b); err == nil && len(m.Packet) > len(b) {
			t.Errorf("a packet of %d bytes in a message of %d", len(m.Packet), len(b))
		}
		if table, chain, num, _, ok := LegacyTrace(prefix); ok && (len(table)+len(chain) > len(prefix) || num == 0 && prefix == "") {
			t.Errorf("%q gives %q %q %d", prefix, table, chain, num)
		}
	})
}
