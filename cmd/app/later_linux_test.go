package app

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// testLater: rules that let a handshake pass and not what follows it are named, and
// proved by a connection that carries data where it is the client's that is dropped.
func testLater(t *testing.T) {
	const flagsAt, lengthAt, syn, fin, psh, ack = 13, 2, 2, 1, 8, 16
	server := []byte{198, 51, 100, 53}
	addr := func(at uint32) []expr.Any {
		return []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: at, Len: 4}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: server}}
	}
	to, from := addr(16), addr(12)
	flags := func(mask, want byte) []expr.Any {
		return []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: flagsAt, Len: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{mask}, Xor: []byte{0}}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{want}},
		}
	}
	longer := []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: lengthAt, Len: 2},
		&expr.Cmp{Op: expr.CmpOpGt, Register: 1, Data: binary.BigEndian.AppendUint16(nil, 1400)},
	}
	carried := []expr.Any{
		&expr.Ct{Register: 1, Key: expr.CtKeyPKTS, Direction: 2},
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 8, Size: 8},
		&expr.Cmp{Op: expr.CmpOpGt, Register: 1, Data: binary.BigEndian.AppendUint64(nil, 20)},
	}
	for _, tt := range []struct {
		name    string
		match   [][]expr.Any
		verdict string
		detail  string // of the place; "" none
		proved  bool
	}{
		{"data", [][]expr.Any{to, flags(psh, psh)}, "dropped", "once the connection is open", true},
		{"full packets", [][]expr.Any{to, longer}, "dropped", "as a full packet of an open connection", true},
		{"the server's ACKs", [][]expr.Any{from, flags(syn|ack, ack)}, "dropped", "once the connection is open", false},
		{"much", [][]expr.Any{from, carried}, "dropped", "once the connection has carried much", false},
		{"packets that are none of its", [][]expr.Any{to, flags(syn|fin, syn|fin)}, "delivered", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := nftables.New()
			if err != nil {
				t.Fatal(err)
			}
			tab := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "later"})
			ch := c.AddChain(&nftables.Chain{Name: "fwd", Table: tab, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter})
			rule := &nftables.Rule{Table: tab, Chain: ch}
			for _, m := range tt.match {
				rule.Exprs = append(rule.Exprs, m...)
			}
			rule.Exprs = append(rule.Exprs, &expr.Verdict{Kind: expr.VerdictDrop})
			c.AddRule(rule)
			if err := c.Flush(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				c.DelTable(tab)
				if err := c.Flush(); err != nil {
					t.Error(err)
				}
			}()
			r, err := New().Trace(t.Context(), TraceOptions{From: "client", To: "198.51.100.53:53"})
			if err != nil {
				t.Fatal(err)
			}
			where := ""
			if r.Where != nil {
				where = r.Where.Detail
			}
			proved := r.Proved != nil && r.Proved.Verdict == tt.verdict && (r.Where == nil || r.Proved.Where != nil && r.Proved.Where.Table == "later")
			if r.Verdict != tt.verdict || !strings.HasSuffix(where, tt.detail) || (where == "") != (tt.detail == "") || proved != tt.proved {
				t.Errorf("%s at %q, proved %+v; want %s at %q, proved %v", r.Verdict, where, r.Proved, tt.verdict, tt.detail, tt.proved)
			}
			if f := finding(r.Findings, "ND9001"); f != nil {
				t.Errorf("a contradiction where there is none: %s", f.Summary)
			}
		})
	}
}
