package kernel

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf/asm"
)

func TestConstantPrograms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		insns asm.Instructions
		want  int32
		known bool
	}{
		{"a number", asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}, 1, true},
		{"a negative one, 32 bits wide", asm.Instructions{asm.Mov.Imm32(asm.R0, -1), asm.Return()}, -1, true},
		{"the last one counts", asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Mov.Reg(asm.R6, asm.R1), asm.Mov.Imm(asm.R0, 2), asm.Return()}, 2, true},
		{"what was handed in", asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Mov.Reg(asm.R0, asm.R1), asm.Return()}, 1, false},
		{"nothing was put there", asm.Instructions{asm.Return()}, 0, false},
		{"it looks at the packet", asm.Instructions{asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), asm.Mov.Imm(asm.R0, 1), asm.Return()}, 0, false},
		{"it has a choice", asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.JEq.Imm(asm.R1, 0, "end"), asm.Mov.Imm(asm.R0, 2), asm.Return().WithSymbol("end")}, 0, false},
		{"it is longer than what was read", asm.Instructions{asm.Mov.Imm(asm.R0, 1)}, 0, false},
	} {
		var b bytes.Buffer
		if err := c.insns.Marshal(&b, binary.LittleEndian); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got, known := constant(b.Bytes()); got != c.want && c.known || known != c.known {
			t.Errorf("%s: %d, %t; want %d, %t", c.name, got, known, c.want, c.known)
		}
	}
}
