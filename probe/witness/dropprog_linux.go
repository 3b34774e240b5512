package witness

import (
	"encoding/binary"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// The rate table of the program that watches all drops: when the running window
// began, how many were handed out in it, and how many were not, ever.
const (
	rateStart, rateCount, rateSkipped = 0, 8, 16
	rateSize                          = 24
	rateWindow                        = 50_000_000 // ns
)

// dropProgram watches kfree_skb for all IP packets of the namespaces of the
// table, and hands out so many of them in each window; the others it counts.
// The counts are not exact where processors race: they only bound the work.
func dropProgram(l *layout, netns, rate, ring int, perWindow int32) asm.Instructions {
	c := &code{}
	c.add(asm.Mov.Reg(asm.R6, asm.R1), asm.LoadMem(asm.R7, asm.R6, 0, asm.DWord), asm.Mov.Imm(asm.R1, 0))
	for at := atInner; at < 0; at += 8 {
		c.store(at, asm.R1, asm.DWord)
	}
	c.read(atScratch, 2, asm.R7, l.skbProtocol)
	c.load(asm.R1, atScratch, asm.Half)
	c.add(asm.JEq.Imm(asm.R1, network(unix.ETH_P_IP), "ip"), asm.JNE.Imm(asm.R1, network(unix.ETH_P_IPV6), "out"))
	c.at("ip")
	c.namespace(l, maps{netns: netns})
	c.add(asm.LoadMapPtr(asm.R1, rate), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, atKey), asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"), asm.Mov.Reg(asm.R9, asm.R0), asm.FnKtimeGetNs.Call())
	c.store(atEvent+evTime, asm.R0, asm.DWord)
	c.add(asm.LoadMem(asm.R1, asm.R9, rateStart, asm.DWord), asm.Mov.Reg(asm.R2, asm.R0), asm.Sub.Reg(asm.R2, asm.R1),
		asm.JLT.Imm(asm.R2, rateWindow, "window"),
		asm.StoreMem(asm.R9, rateStart, asm.R0, asm.DWord), asm.Mov.Imm(asm.R1, 0), asm.StoreMem(asm.R9, rateCount, asm.R1, asm.DWord))
	c.at("window")
	c.add(asm.LoadMem(asm.R1, asm.R9, rateCount, asm.DWord), asm.JLT.Imm(asm.R1, perWindow, "take"),
		asm.Mov.Imm(asm.R1, 1), asm.StoreXAdd(asm.R9, asm.R1, asm.DWord))
	c.ins[len(c.ins)-1].Offset = rateSkipped
	c.add(asm.Ja.Label("out"))
	c.at("take")
	c.add(asm.Add.Imm(asm.R1, 1), asm.StoreMem(asm.R9, rateCount, asm.R1, asm.DWord))
	c.start(kindDrop, l)
	c.read(atEvent+evPacket, packetLen, asm.R8, 0)
	c.add(asm.LoadMapPtr(asm.R1, ring), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, atEvent),
		asm.Mov.Imm(asm.R3, evSize), asm.Mov.Imm(asm.R4, 0), asm.FnRingbufOutput.Call())
	c.at("out")
	c.add(asm.Mov.Imm(asm.R0, 0), asm.Return())
	return c.ins
}

// network is a number of the wire as the processor loads it.
func network(v uint16) int32 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return int32(binary.NativeEndian.Uint16(b[:]))
}
