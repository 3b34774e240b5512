// Package shell reads a change as a person types it at a prompt (ip, sysctl,
// iptables, nft, bridge) into the operation that it is. What it does not know
// in full it refuses: a change that is half understood can't be tried.
package shell

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Known says what Parse reads, for help and for errors.
const Known = "ip link|addr|route|rule|neigh, sysctl -w, iptables and ip6tables -A -I -D -P -N -X -F, nft add|insert|delete rule, " +
	"bridge link set; in another namespace by ip -n NAME, ip netns exec NAME or nsenter -t PID -n"

// Parse reads one line. Objects that it names (devices, chains, rules to be
// deleted) are looked up in the snapshot, which is not changed. The error
// wraps snap.ErrUnsupported when the line may be right but is not read here.
func Parse(s *snap.Snapshot, line string) (fixups.Op, error) {
	list, err := split(line)
	if err != nil {
		return nil, err
	}
	r := &reader{s: s, words: list, ns: s.HostNs()}
	op, err := r.command()
	if err != nil {
		return nil, err
	}
	if r.more() {
		return nil, fmt.Errorf("%q is not understood here: %w", r.words[r.i], snap.ErrUnsupported)
	}
	return op, nil
}

// reader goes through the words of a line.
type reader struct {
	s     *snap.Snapshot
	ns    *snap.Netns // in which the command runs
	words []string
	i     int
	fam   snap.Family // by -4 or -6, "" when not given
}

func (r *reader) more() bool { return r.i < len(r.words) }

// next is the next word.
func (r *reader) next(what string) (string, error) {
	if !r.more() {
		return "", fmt.Errorf("%s is missing at the end", what)
	}
	r.i++
	return r.words[r.i-1], nil
}

// take takes the next word if it is one of those.
func (r *reader) take(list ...string) bool {
	if r.more() && slices.Contains(list, r.words[r.i]) {
		r.i++
		return true
	}
	return false
}

// rest are all words that are left.
func (r *reader) rest() []string {
	out := r.words[r.i:]
	r.i = len(r.words)
	return out
}

// number reads a number of at most bits bits, decimal or hexadecimal.
func (r *reader) number(what string, bits int) (uint64, error) {
	w, err := r.next(what)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(w, 0, bits)
	if err != nil {
		return 0, fmt.Errorf("%s %q is no number", what, w)
	}
	return n, nil
}

// where is the namespace for an operation.
func (r *reader) where() fixups.Where { return fixups.At(r.s, r.ns.ID) }

// device reads the name of a device of the namespace.
func (r *reader) device() (*snap.Link, error) {
	w, err := r.next("the device")
	if err != nil {
		return nil, err
	}
	if l := r.ns.Link(w); l != nil {
		return l, nil
	}
	return nil, snap.NotFoundf("no device %s in %s", w, r.ns.ID)
}

// command reads the words that lead to a namespace, and then the command.
func (r *reader) command() (fixups.Op, error) {
	if r.ns == nil {
		return nil, snap.NotFoundf("the host's namespace is not in this snapshot")
	}
	r.take("sudo")
	tool, err := r.next("the command")
	if err != nil {
		return nil, err
	}
	switch tool = path.Base(tool); tool {
	case "nsenter":
		if err := r.enter(); err != nil {
			return nil, err
		}
		return r.inside()
	case "ip":
		return r.ip()
	case "sysctl":
		return r.sysctl()
	case "nft":
		return r.nft()
	case "bridge":
		return r.bridge()
	case "iptables", "ip6tables", "iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy":
		return r.iptables(tool)
	}
	return nil, fmt.Errorf("a change by %s is not read here: %w", tool, snap.ErrUnsupported)
}

// inside reads the command that another one runs in a namespace.
func (r *reader) inside() (fixups.Op, error) {
	if r.more() && (r.words[r.i] == "nsenter" || r.words[r.i] == "sudo") {
		return nil, fmt.Errorf("%s inside of a namespace: %w", r.words[r.i], snap.ErrUnsupported)
	}
	return r.command()
}

// enter reads nsenter(1)'s options: a process or a file, and that the network's
// namespace is meant.
func (r *reader) enter() error {
	pid, net := "", false
	for r.more() && strings.HasPrefix(r.words[r.i], "-") {
		w, _ := r.next("")
		var err error
		switch file, ok := strings.CutPrefix(w, "--net="); {
		case ok:
			return r.byPath(file)
		case w == "-t" || w == "--target":
			pid, err = r.next("the process")
		case w == "-n" || w == "--net":
			net = true
		default:
			err = fmt.Errorf("nsenter %s: %w", w, snap.ErrUnsupported)
		}
		if err != nil {
			return err
		}
	}
	n, err := strconv.Atoi(pid)
	if err != nil || !net {
		return fmt.Errorf("nsenter needs -t PID -n, or --net=FILE")
	}
	for i := range r.s.Netns {
		if slices.Contains(r.s.Netns[i].Pids, n) {
			r.ns = &r.s.Netns[i]
			return nil
		}
	}
	return r.byPath("/proc/" + pid + "/ns/net")
}

// byPath enters the namespace of a file.
func (r *reader) byPath(file string) error {
	for i := range r.s.Netns {
		if r.s.Netns[i].Path == file {
			r.ns = &r.s.Netns[i]
			return nil
		}
	}
	return snap.NotFoundf("no namespace %s", file)
}

// byName enters the namespace that ip-netns(8) knows by that name, or whose ID
// it is.
func (r *reader) byName(name string) error {
	for i := range r.s.Netns {
		n := &r.s.Netns[i]
		if slices.Contains(n.Names, name) || n.IPNetns() == name || n.ID == name {
			r.ns = n
			return nil
		}
	}
	return snap.NotFoundf("no namespace %s", name)
}
