package ns

import (
	"os"
	"strconv"
	"strings"
)

// procFD is a descriptor of a process.
type procFD struct {
	pid int
	fd  string
}

// BPFHolder is a process that has a program open, or a link to one.
type BPFHolder struct {
	Proc Proc
	// Link is the link's id and Ifindex the device it is for; 0 for the program itself.
	Link    uint32
	Ifindex int
}

// BPFHolders are the processes that have a program open, by pid, as fdinfo tells
// (kernel/bpf/syscall.c: bpf_prog_show_fdinfo, bpf_link_show_fdinfo).
func (p *Procs) BPFHolders(prog uint32) []BPFHolder {
	if p == nil || prog == 0 {
		return nil
	}
	var out []BPFHolder
	for _, x := range p.bpf {
		proc := p.Get(x.pid)
		if proc == nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + strconv.Itoa(x.pid) + "/fdinfo/" + x.fd)
		if err != nil { // it was closed meanwhile, or is not for us to see
			continue
		}
		if h, id := holder(string(b)); id == prog {
			h.Proc = *proc
			out = append(out, h)
		}
	}
	return out
}

// holder reads one fdinfo; the id is the program's, 0 for anything else.
func holder(text string) (h BPFHolder, prog uint32) {
	for line := range strings.Lines(text) {
		k, v, _ := strings.Cut(line, ":")
		n, err := strconv.ParseUint(strings.TrimSpace(v), 10, 32)
		if err != nil {
			continue
		}
		switch k {
		case "link_id":
			h.Link = uint32(n)
		case "prog_id":
			prog = uint32(n)
		case "ifindex":
			h.Ifindex = int(n)
		}
	}
	return h, prog
}
