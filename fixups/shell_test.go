package fixups_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/fixups/shell"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestPrintedLinesAreRead: the line that an operation prints is read back as
// what does the same, or refused as not read here.
func TestPrintedLinesAreRead(t *testing.T) {
	t.Parallel()
	read := map[string]int{}
	for _, c := range opCases() {
		t.Run(c.name, func(t *testing.T) {
			s := world(t)
			op := c.op(s)
			lines := op.Shell()
			if len(lines) != 1 || strings.Contains(lines[0], "HANDLE") {
				return
			}
			got, err := shell.Parse(s, lines[0])
			if errors.Is(err, snap.ErrUnsupported) {
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", lines[0], err)
			}
			a, b := s.Clone(), s.Clone()
			if err := op.On(a); err != nil {
				t.Fatal(err)
			}
			if err := got.On(b); err != nil {
				t.Fatalf("%s, read back: %v", lines[0], err)
			}
			if !same(t, a, b) {
				t.Errorf("%s was read as %s, which does something else", lines[0], got.Describe())
			}
			read[got.Kind()]++
		})
	}
	for _, kind := range []string{
		"link-set", "link-master", "link-mtu", "link-del", "addr-add", "addr-del", "route-add", "route-del", "route-replace",
		"policy-rule-add", "policy-rule-del", "neigh-set", "neigh-del", "sysctl-set", "rule-insert", "rule-delete", "chain-policy",
	} {
		if read[kind] == 0 {
			t.Errorf("no line of the kind %s was read back", kind)
		}
	}
}

// TestLines are lines as people type them, and what is refused.
func TestLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line, want string // want is the line as it would be printed; "" refused as unsupported, "!" wrong
	}{
		{"iptables -I FORWARD -i br-app -j ACCEPT", "iptables -I FORWARD -i br-app -j ACCEPT"},
		{"sudo /usr/sbin/iptables -w -t nat --append POSTROUTING -s 172.30.1.0/24 -j MASQUERADE", "iptables -t nat -A POSTROUTING -s 172.30.1.0/24 -j MASQUERADE"},
		{"iptables-legacy -P FORWARD ACCEPT", "iptables-legacy -P FORWARD ACCEPT"},
		{"iptables -A FORWARD -m string --algo bm --string x -j DROP", ""},
		{"iptables -A FORWARD -j DROP; iptables -A FORWARD -j ACCEPT", ""},
		{"iptables -D FORWARD 99", "!"},
		{"sysctl net.ipv4.ip_forward=1", "sysctl -w net.ipv4.ip_forward=1"},
		{"sysctl -w net.ipv4.conf.eth0/5.rp_filter=2", "sysctl -w net/ipv4/conf/eth0.5/rp_filter=2"},
		{"sysctl -w kernel.panic=1", ""},
		{"sysctl -p", ""},
		{"ip r add 203.0.113.0/24 via 192.0.2.1", "ip route add 203.0.113.0/24 via 192.0.2.1 dev eth0"},
		{"ip route del default", "ip route del default via 192.0.2.1 dev eth0"},
		{"ip route add 203.0.113.1/24 via 192.0.2.1", "!"},
		{"ip route add 203.0.113.0/24 via 192.0.2.1 table blue", ""},
		{"ip rule add from 172.30.1.0/24 lookup 100", "ip rule add from 172.30.1.0/24 priority 32765 lookup 100"},
		{"ip -n blue link set lo up", "ip -n blue link set dev lo up"},
		{"ip netns exec blue sysctl -w net.ipv4.ip_forward=1", "ip netns exec blue sysctl -w net.ipv4.ip_forward=1"},
		{"nsenter -t 100 -n ip addr add 172.30.1.99/24 brd + dev eth0", "nsenter -t 100 -n ip addr add 172.30.1.99/24 broadcast 172.30.1.255 dev eth0"},
		{"nsenter -t 4242 -n ip link set eth0 up", "!"},
		{"ip link set nosuch up", "!"},
		{"ip link set eth0 up mtu 1400", "ip link set dev eth0 up"},
		{"bridge link set dev veth1 isolated on", "bridge link set dev veth1 isolated on"},
		{"docker restart web", ""},
		{"ip link add br9 type bridge", ""},
		{"", "!"},
		{"ip route add 'default", "!"},
	} {
		t.Run(c.line, func(t *testing.T) {
			t.Parallel()
			op, err := shell.Parse(world(t), c.line)
			switch {
			case c.want == "" && !errors.Is(err, snap.ErrUnsupported):
				t.Errorf("got %v, %v, want it refused as not read here", op, err)
			case c.want == "!" && (err == nil || errors.Is(err, snap.ErrUnsupported)):
				t.Errorf("got %v, %v, want a mistake", op, err)
			case c.want != "" && c.want != "!":
				if err != nil {
					t.Fatal(err)
				}
				if got := op.Shell()[0]; got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			}
		})
	}
}

// FuzzLine reads anything.
func FuzzLine(f *testing.F) {
	for _, l := range []string{
		"iptables -I FORWARD 2 -i br-app -p tcp --dport 80 -j ACCEPT", "ip -6 route add default via 2001:db8::1 dev eth0",
		"nft insert rule ip fw fwd index 0 'ip saddr 10.0.0.0/8 drop'", "sysctl -w net.ipv4.ip_forward=1", "ip rule add not from 1.2.3.0/24 fwmark 1/3 goto 9",
		"bridge link set dev veth1 state 3 hairpin on",
	} {
		f.Add(l)
	}
	s := world(&testing.T{})
	f.Fuzz(func(t *testing.T, line string) {
		op, err := shell.Parse(s, line)
		if (op == nil) == (err == nil) {
			t.Fatalf("%q: %v, %v", line, op, err)
		}
		if op != nil && len(op.Shell()) == 0 {
			t.Fatalf("%q: nothing to print", line)
		}
	})
}

// TestLinesThatWriteFiles: a shell that is given the line writes the very bytes.
func TestLinesThatWriteFiles(t *testing.T) {
	t.Parallel()
	for _, want := range []string{
		"nameserver 192.0.2.53\n", "127.0.0.1\tlocalhost\n\n::1\tip6 it's\n", "100% \\t \\0101 $HOME `id`\n", "caf\u00e9\t\u202e \xff\x01\n",
	} {
		path := t.TempDir() + "/a file"
		put := &fixups.FilePut{Path: path, Content: &want}
		lines := put.Shell()
		if len(lines) != 1 || strings.ContainsFunc(lines[0], func(r rune) bool { return r < 0x20 || r > 0x7e }) {
			t.Errorf("%q is not one plain line", lines)
			continue
		}
		if out, err := exec.Command("sh", "-c", lines[0]).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", lines[0], err, out)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s wrote %q, %v; want %q", lines[0], got, err, want)
		}
	}
}
