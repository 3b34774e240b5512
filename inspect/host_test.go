package inspect

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestSysctlLines(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		p := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("usr/lib/sysctl.d/50-default.conf", "net.ipv4.conf.all.rp_filter=2\n")
	write("usr/lib/sysctl.d/60-hidden.conf", "net.ipv4.ip_forward=0\n")
	write("etc/sysctl.d/60-hidden.conf", "# net.ipv4.ip_forward=1\n; a remark\n\nkernel.panic = 1\n-net/ipv4/conf/eth0.100/rp_filter = 0 \n")
	write("etc/sysctl.d/70-dots.conf", "net.ipv4.conf.eth0/100.forwarding=1\nnet.ipv4.no_value\n")
	write("etc/sysctl.d/not-a-conf", "net.ipv4.ip_forward=1\n")
	write("etc/sysctl.conf", "net.ipv4.ip_forward = 1")
	if err := os.Symlink("../sysctl.conf", filepath.Join(root, "etc/sysctl.d/99-sysctl.conf")); err != nil {
		t.Fatal(err)
	}
	got, err := sysctlLines(root)
	if err != nil {
		t.Fatal(err)
	}
	at := func(p string) string { return filepath.Join(root, p) }
	want := []snap.SysctlLine{
		{File: at("usr/lib/sysctl.d/50-default.conf"), Line: 1, Key: "net/ipv4/conf/all/rp_filter", Value: "2"},
		{File: at("etc/sysctl.d/60-hidden.conf"), Line: 5, Key: "net/ipv4/conf/eth0.100/rp_filter", Value: "0"},
		{File: at("etc/sysctl.d/70-dots.conf"), Line: 1, Key: "net/ipv4/conf/eth0.100/forwarding", Value: "1"},
		{File: at("etc/sysctl.conf"), Line: 1, Key: "net/ipv4/ip_forward", Value: "1"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestDistro(t *testing.T) {
	t.Parallel()
	p := filepath.Join(t.TempDir(), "os-release")
	if err := os.WriteFile(p, []byte("NAME=x\nPRETTY_NAME=\"Example Linux 9 (nine)\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := distro(filepath.Join(t.TempDir(), "none"), p); got != "Example Linux 9 (nine)" {
		t.Errorf("got %q", got)
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	has := func(name string) bool { return name == "ufw" || name == "dnsmasq" }
	got := services(nil, 1, has)
	if d := cmp.Diff(map[string]int{"ufw": 0, "dnsmasq": 0}, got); d != "" {
		t.Errorf("without processes (-want +got)\n%s", d)
	}
}

func TestModulesOfANamespace(t *testing.T) {
	t.Parallel()
	host := &snap.Netns{
		Sysctls: map[string]string{"net/bridge/bridge-nf-call-iptables": "1"},
		Ruleset: snap.Ruleset{Generation: 3}, Links: []snap.Link{{Kind: "veth"}, {Kind: "loopback"}},
	}
	have := map[string]bool{}
	for _, m := range modules("no-such-kernel", host) {
		have[m] = true
	}
	if !have["br_netfilter"] || !have["nf_tables"] || !have["veth"] || have["loopback"] {
		t.Errorf("modules %v", have)
	}
}
