package kernel

import (
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// hangOn loads a program and hangs it on a control group for the test.
func hangOn(t *testing.T, dir, name string, at ebpf.AttachType, insns asm.Instructions) {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: name, Type: ebpf.CGroupSKB, AttachType: at, License: "GPL", Instructions: insns})
	labtest.Ran(t, err)
	t.Cleanup(func() { _ = p.Close() })
	l, err := link.AttachCgroup(link.CgroupOptions{Path: dir, Attach: at, Program: p})
	labtest.Ran(t, err)
	t.Cleanup(func() { _ = l.Close() })
}

// systemd's firewall program for what goes out by IPv4 (systemd
// src/core/bpf-firewall.c: bpf_firewall_compile_bpf).
func unitFirewall(t *testing.T, anyAllowed bool, denied ...string) asm.Instructions {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 8, Flags: 1}) // BPF_F_NO_PREALLOC
	labtest.Ran(t, err)
	t.Cleanup(func() { _ = m.Close() })
	for _, d := range denied {
		p := netip.MustParsePrefix(d)
		key := binary.NativeEndian.AppendUint32(nil, uint32(p.Bits()))
		if err := m.Put(append(key, p.Addr().AsSlice()...), uint64(1)); err != nil {
			t.Fatal(err)
		}
	}
	out := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R7, asm.R6, 16, asm.Word), // __sk_buff.protocol
		asm.Mov.Imm32(asm.R8, 0),
		asm.JNE.Imm(asm.R7, 8, "done"),
		asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Imm32(asm.R2, 16), asm.Mov.Reg(asm.R3, asm.R10), asm.Add.Imm(asm.R3, -4), asm.Mov.Imm32(asm.R4, 4), asm.FnSkbLoadBytes.Call(),
		asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, -8), asm.StoreImm(asm.R2, 0, 32, asm.Word), asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "done"),
		asm.Or.Imm32(asm.R8, listDenied),
	}
	done := asm.Mov.Imm(asm.R0, 1)
	if anyAllowed {
		out = append(out, asm.Or.Imm32(asm.R8, listAllowed).WithSymbol("done"), done)
	} else {
		out = append(out, done.WithSymbol("done"))
	}
	return append(out, asm.JNE.Imm(asm.R8, listDenied, "end"), asm.Mov.Imm(asm.R0, 0), asm.Return().WithSymbol("end"))
}

func TestProgramsOfControlGroups(t *testing.T) {
	labtest.Netns(t) // needs what a lab needs
	mount, ok := ns.FindCgroup2()
	if !ok {
		labtest.Ran(t, os.ErrNotExist)
	}
	at := "/netdoctor-test"
	dir := filepath.Join(mount.Point, at)
	labtest.Ran(t, os.Mkdir(dir, 0o755))
	inner := filepath.Join(dir, "inner")
	labtest.Ran(t, os.Mkdir(inner, 0o755))
	t.Cleanup(func() { _, _ = os.Remove(inner), os.Remove(dir) })

	hangOn(t, dir, "sd_fw_egress", ebpf.AttachCGroupInetEgress, unitFirewall(t, false, "198.51.100.0/24", "203.0.113.7/32"))
	hangOn(t, inner, "open", ebpf.AttachCGroupInetIngress, asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), asm.Mov.Imm(asm.R0, 1), asm.JGT.Imm(asm.R2, 9000, "end"), asm.Mov.Imm(asm.R0, 0), asm.Return().WithSymbol("end"),
	})
	progs := OpenCgroups()
	outer, deep := progs.Of(at), progs.Of(at+"/inner")
	if outer == nil || deep == nil {
		t.Fatalf("programs of the groups: %v, %v", outer, deep)
	}
	var byHook [2]*snap.CgroupProgram
	for i := range deep.Programs {
		switch p := &deep.Programs[i]; p.At {
		case at + "/inner":
			byHook[0] = p
		case at:
			byHook[1] = p
		}
	}
	if len(outer.Programs) == 0 || byHook[0] == nil || byHook[1] == nil || outer.ID == deep.ID {
		t.Fatalf("outer %+v\ninner %+v", outer, deep)
	}
	if p := byHook[0]; p.Hook != "cgroup_inet_ingress" || p.Name != "open" || p.Always != "" || p.Filter != nil {
		t.Errorf("the program of the inner group: %+v", p)
	}
	p := byHook[1]
	if p.Hook != "cgroup_inet_egress" || p.Filter == nil {
		t.Fatalf("systemd's program: %+v", p)
	}
	for a, want := range map[string]bool{"198.51.100.20": false, "203.0.113.7": false, "203.0.113.8": true, "2001:db8::1": true} {
		if got := p.Filter.Lets(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s is let through: %v; lists %+v", a, got, p.Filter)
		}
	}
	if g := progs.Of("/no/such/group"); g != nil {
		t.Errorf("a group that is not there: %+v", g)
	}
}

func TestSystemdListsWithAny(t *testing.T) {
	labtest.Netns(t)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "sd_fw_egress", Type: ebpf.CGroupSKB, AttachType: ebpf.AttachCGroupInetEgress, License: "GPL", Instructions: unitFirewall(t, true, "198.51.100.0/24")})
	labtest.Ran(t, err)
	defer p.Close()
	info, err := p.Info()
	labtest.Ran(t, err)
	id, _ := info.ID()
	f := systemdFilter(readProgram(uint32(id)).insns)
	if f == nil || len(f.Deny) != 1 || len(f.Allow) != 2 || !f.Lets(netip.MustParseAddr("198.51.100.20")) {
		t.Errorf("lists of a unit with IPAddressAllow=any: %+v", f)
	}
	if f := systemdFilter(readProgram(uint32(id)).insns[:64]); f != nil {
		t.Errorf("half a program has lists: %+v", f)
	}
}
