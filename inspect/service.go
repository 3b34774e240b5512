package inspect

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/ns"
)

// service is a daemon that owns a part of the network.
type service struct {
	name   string
	comm   string   // as /proc/PID/comm has it: 15 bytes at most
	binary []string // base names of the program; any of them means installed
}

func knownServices() []service {
	return []service{
		{"firewalld", "firewalld", []string{"firewalld"}},
		{"ufw", "", []string{"ufw"}},
		{"NetworkManager", "NetworkManager", []string{"NetworkManager"}},
		{"systemd-networkd", "systemd-network", []string{"/usr/lib/systemd/systemd-networkd", "/lib/systemd/systemd-networkd"}},
		{"systemd-resolved", "systemd-resolve", []string{"/usr/lib/systemd/systemd-resolved", "/lib/systemd/systemd-resolved"}},
		{"dockerd", "dockerd", []string{"dockerd"}},
		{"containerd", "containerd", []string{"containerd"}},
		{"podman", "podman", []string{"podman"}},
		{"aardvark-dns", "aardvark-dns", []string{"/usr/lib/podman/aardvark-dns", "/usr/libexec/podman/aardvark-dns"}},
		{"kubelet", "kubelet", []string{"kubelet"}},
		{"kube-proxy", "kube-proxy", []string{"kube-proxy"}},
		{"k3s", "k3s-server", []string{"k3s"}}, // this one and the next two have kubelet and kube-proxy inside
		{"kubelite", "kubelite", []string{"kubelite"}},
		{"k0s", "k0s", []string{"k0s"}},
		{"kube-router", "kube-router", []string{"kube-router"}},
		{"cilium-agent", "cilium-agent", []string{"cilium-agent"}},
		{"calico-felix", "calico-felix", []string{"calico-felix"}},
		{"flanneld", "flanneld", []string{"flanneld"}},
		{"fail2ban-server", "fail2ban-server", []string{"fail2ban-server"}},
		{"crowdsec-firewall-bouncer", "crowdsec-firewa", []string{"crowdsec-firewall-bouncer"}},
		{"dnsmasq", "dnsmasq", []string{"dnsmasq"}},
		{"unbound", "unbound", []string{"unbound"}},
		{"named", "named", []string{"named"}},
		{"keepalived", "keepalived", []string{"keepalived"}},
		{"tailscaled", "tailscaled", []string{"tailscaled"}},
		{"libvirtd", "libvirtd", []string{"libvirtd"}},
		{"ovs-vswitchd", "ovs-vswitchd", []string{"ovs-vswitchd"}},
		{"dhcpcd", "dhcpcd", []string{"dhcpcd"}},
		{"dhclient", "dhclient", []string{"dhclient"}},
		{"avahi-daemon", "avahi-daemon", []string{"avahi-daemon"}},
	}
}

// services are the known daemons that run in the host's namespace, with their
// lowest pid, and those that are installed and do not run, with 0. A process
// whose namespace can't be seen counts as the host's.
func services(p *ns.Procs, hostInode uint64, installed func(string) bool) map[string]int {
	out := map[string]int{}
	for _, s := range knownServices() {
		for _, x := range p.Named(s.comm) {
			if s.comm != "" && (x.Netns == hostInode || x.Netns == 0) {
				out[s.name] = x.PID
				break
			}
		}
		if out[s.name] != 0 {
			continue
		}
		if slices.ContainsFunc(s.binary, installed) {
			out[s.name] = 0
		}
	}
	return out
}

// installed says whether a host program is there.
func installed(name string) bool {
	_, err := ns.Look(name)
	return err == nil
}
