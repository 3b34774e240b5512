package witness

import (
	"github.com/cilium/ebpf/asm"
)

// The event that the program hands out, at these bytes. The packet begins with
// its IP header.
const (
	evKind, evNetns, evDevice, evReason = 0, 4, 8, 12
	evFunc, evTime, evPacket            = 16, 24, 32
	packetLen                           = 128 // IP and ICMP header, and the quoted ones, also for IPv6
	evSize                              = evPacket + packetLen
)

// What the event tells of.
const (
	kindDrop = iota + 1
	kindReceive
	kindTransmit
)

// Bits of the table of identities: index n is wanted as a port, as an ICMP id.
const (
	wantPort = 1
	wantID   = 2
)

// The stack, from the frame pointer down.
const (
	atEvent   = -evSize
	atScratch = atEvent - 8
	atKey     = atScratch - 8
	atL4      = atKey - 16
	atInner   = atL4 - 40
)

// maps are the file descriptors of the program's tables.
type maps struct {
	netns, ids, ring int
}

// code assembles; a label goes to the next instruction.
type code struct {
	ins   asm.Instructions
	label string
}

func (c *code) add(list ...asm.Instruction) {
	for _, in := range list {
		if c.label != "" {
			in, c.label = in.WithSymbol(c.label), ""
		}
		c.ins = append(c.ins, in)
	}
}

// at names the place of the next instruction.
func (c *code) at(label string) {
	if c.label != "" { // two labels on one place
		c.add(asm.Mov.Reg(asm.R0, asm.R0))
	}
	c.label = label
}

// read copies n bytes at reg+off to the stack. Failing, it leaves zeros there
// (kernel/trace/bpf_trace.c:bpf_probe_read_kernel_common).
func (c *code) read(to int, n int32, reg asm.Register, off int32) {
	c.add(asm.Mov.Reg(asm.R3, reg), asm.Add.Imm(asm.R3, off),
		asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, int32(to)),
		asm.Mov.Imm(asm.R2, n), asm.FnProbeReadKernel.Call())
}

func (c *code) load(to asm.Register, at int, size asm.Size) {
	c.add(asm.LoadMem(to, asm.RFP, int16(at), size))
}

func (c *code) store(at int, from asm.Register, size asm.Size) {
	c.add(asm.StoreMem(asm.RFP, int16(at), from, size))
}

// wanted jumps to "hit" when the number in network byte order at the stack is in
// the table of identities with that bit.
func (c *code) wanted(m maps, at int, bit int32) {
	next := "next" + string(rune('a'+len(c.ins)%26)) + string(rune('a'+len(c.ins)/26%26))
	c.load(asm.R1, at, asm.Half)
	c.add(asm.HostTo(asm.BE, asm.R1, asm.Half))
	c.store(atKey, asm.R1, asm.Word)
	c.add(asm.LoadMapPtr(asm.R1, m.ids), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, atKey), asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, next),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.Byte), asm.And.Imm(asm.R1, bit), asm.JNE.Imm(asm.R1, 0, "hit"))
	c.at(next)
}

// program watches one tracepoint whose first argument is the skb. It looks at
// packets in the namespaces of the table alone, and hands out those that carry
// one of the wanted ports or ids, also quoted in an ICMP error.
func program(kind int32, l *layout, m maps) asm.Instructions {
	c := &code{}
	c.add(asm.Mov.Reg(asm.R6, asm.R1), asm.LoadMem(asm.R7, asm.R6, 0, asm.DWord), asm.Mov.Imm(asm.R1, 0))
	for at := atInner; at < 0; at += 8 {
		c.store(at, asm.R1, asm.DWord)
	}
	c.namespace(l, m)
	c.start(kind, l)
	c.read(atEvent+evPacket, packetLen, asm.R8, 0)
	c.header(atEvent+evPacket, "")
	c.at("l4")
	c.read(atL4, 8, asm.R8, 0)
	c.add(asm.JEq.Imm(asm.R9, 6, "ports"), asm.JEq.Imm(asm.R9, 17, "ports"), asm.JEq.Imm(asm.R9, 132, "ports"))
	c.load(asm.R1, atL4, asm.Byte)
	c.add(asm.JEq.Imm(asm.R9, 1, "icmp"), asm.JNE.Imm(asm.R9, 58, "out"))
	c.add(asm.JEq.Imm(asm.R1, 128, "echo"), asm.JEq.Imm(asm.R1, 129, "echo"), // RFC 4443: below 128 are errors
		asm.JGT.Imm(asm.R1, 4, "out"), asm.Ja.Label("error"))
	c.at("icmp")
	c.add(asm.JEq.Imm(asm.R1, 8, "echo"), asm.JEq.Imm(asm.R1, 0, "echo"), asm.JEq.Imm(asm.R1, 3, "error"), // RFC 792
		asm.JEq.Imm(asm.R1, 11, "error"), asm.JEq.Imm(asm.R1, 12, "error"), asm.Ja.Label("out"))
	c.at("error")
	c.add(asm.Add.Imm(asm.R8, 8))
	c.read(atInner, 40, asm.R8, 0)
	c.header(atInner, "q")
	c.at("l4q")
	c.read(atL4, 8, asm.R8, 0)
	c.add(asm.JEq.Imm(asm.R9, 6, "ports"), asm.JEq.Imm(asm.R9, 17, "ports"), asm.JEq.Imm(asm.R9, 132, "ports"),
		asm.JEq.Imm(asm.R9, 1, "echo"), asm.JEq.Imm(asm.R9, 58, "echo"), asm.Ja.Label("out"))
	c.at("echo")
	c.wanted(m, atL4+4, wantID)
	c.add(asm.Ja.Label("out"))
	c.at("ports")
	c.wanted(m, atL4, wantPort)
	c.wanted(m, atL4+2, wantPort)
	c.add(asm.Ja.Label("out"))
	c.at("hit")
	c.add(asm.FnKtimeGetNs.Call())
	c.store(atEvent+evTime, asm.R0, asm.DWord)
	c.add(asm.LoadMapPtr(asm.R1, m.ring), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, atEvent),
		asm.Mov.Imm(asm.R3, evSize), asm.Mov.Imm(asm.R4, 0), asm.FnRingbufOutput.Call())
	c.at("out")
	c.add(asm.Mov.Imm(asm.R0, 0), asm.Return())
	return c.ins
}

// namespace goes "out" unless the packet is in a wanted one: its device's, or
// where it has none yet (in OUTPUT) its socket's.
func (c *code) namespace(l *layout, m maps) {
	c.read(atScratch, 8, asm.R7, l.skbDev)
	c.load(asm.R8, atScratch, asm.DWord)
	c.add(asm.JEq.Imm(asm.R8, 0, "nodev"))
	c.read(atEvent+evDevice, 4, asm.R8, l.devIndex)
	c.read(atScratch, 8, asm.R8, l.devNet)
	c.add(asm.Ja.Label("net"))
	c.at("nodev")
	c.read(atScratch, 8, asm.R7, l.skbSk)
	c.load(asm.R8, atScratch, asm.DWord)
	c.add(asm.JEq.Imm(asm.R8, 0, "out"))
	c.read(atScratch, 8, asm.R8, l.sockNet)
	c.at("net")
	c.load(asm.R8, atScratch, asm.DWord)
	c.read(atEvent+evNetns, 4, asm.R8, l.netInum)
	c.add(asm.LoadMapPtr(asm.R1, m.netns), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, atEvent+evNetns),
		asm.FnMapLookupElem.Call(), asm.JEq.Imm(asm.R0, 0, "out"))
}

// start makes R8 point at the IP header, and notes what the tracepoint tells.
func (c *code) start(kind int32, l *layout) {
	c.add(asm.Mov.Imm(asm.R1, kind))
	c.store(atEvent+evKind, asm.R1, asm.Word)
	if kind == kindReceive {
		// The stack resets the network header only after the tracepoint
		// (net/core/dev.c:__netif_receive_skb_core); data is at it.
		c.read(atScratch, 8, asm.R7, l.skbData)
		c.load(asm.R8, atScratch, asm.DWord)
		return
	}
	if kind == kindDrop {
		c.add(asm.LoadMem(asm.R1, asm.R6, 8, asm.DWord))
		c.store(atEvent+evFunc, asm.R1, asm.DWord)
		if len(l.reasons) > 0 {
			c.add(asm.LoadMem(asm.R1, asm.R6, 16, asm.DWord))
			c.store(atEvent+evReason, asm.R1, asm.Word)
		}
	}
	c.read(atScratch, 8, asm.R7, l.skbHead)
	c.load(asm.R8, atScratch, asm.DWord)
	c.read(atScratch, 2, asm.R7, l.skbNetwork)
	c.load(asm.R1, atScratch, asm.Half)
	c.add(asm.Add.Reg(asm.R8, asm.R1))
}

// header steps R8 over the IP header that was copied to the stack, and puts the
// protocol into R9. Later fragments have no transport header: "out".
func (c *code) header(at int, suffix string) {
	c.load(asm.R1, at, asm.Byte)
	c.add(asm.RSh.Imm(asm.R1, 4), asm.JEq.Imm(asm.R1, 4, "v4"+suffix), asm.JNE.Imm(asm.R1, 6, "out"))
	c.load(asm.R9, at+6, asm.Byte)
	c.add(asm.Add.Imm(asm.R8, 40), asm.Ja.Label("l4"+suffix))
	c.at("v4" + suffix)
	c.load(asm.R1, at+6, asm.Half)
	c.add(asm.HostTo(asm.BE, asm.R1, asm.Half), asm.And.Imm(asm.R1, 0x1fff), asm.JNE.Imm(asm.R1, 0, "out"))
	c.load(asm.R9, at+9, asm.Byte)
	c.load(asm.R1, at, asm.Byte)
	c.add(asm.And.Imm(asm.R1, 15), asm.LSh.Imm(asm.R1, 2), asm.Add.Reg(asm.R8, asm.R1))
}
