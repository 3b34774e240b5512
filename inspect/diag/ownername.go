package diag

import (
	"strings"

	"github.com/netdoctor/netdoctor/inspect/sim"
)

// chainOwners are the programs that give their chains a name of their own, the longer
// beginning before the shorter.
var chainOwners = []struct{ prefix, owner string }{
	{"DOCKER-USER", "the user's own rules"},
	{"DOCKER-INGRESS", swarm},
	{"DOCKER", "Docker"},
	{"NETDOCTOR", "netdoctor"},
	{"ufw", "ufw"},
	{"f2b-", "fail2ban"},
	{"KUBE-ROUTER-", "kube-router"},
	{"KUBE-POD-FW-", "kube-router"},
	{"KUBE-NWPLCY-", "kube-router"},
	{"KUBE-", "kube-proxy"},
	{"CNI-", "a CNI plugin"},
	{"NETAVARK", "Podman (netavark)"},
	{"cali-", "Calico"},
	{"CILIUM", "Cilium"},
	{"OLD_CILIUM", "Cilium"},
	{"FLANNEL-", "flannel"},
	{"WEAVE", "Weave Net"},
	{"ISTIO_", "Istio"},
	{"ts-", "Tailscale"},
	{"LIBVIRT", "libvirt"},
}

// tableOwners are the programs that have a table of nftables to themselves.
var tableOwners = map[string]string{
	"firewalld":              "firewalld",
	"netavark":               "Podman (netavark)",
	"netdoctor-bridges":      "netdoctor",
	"netdoctor-dns":          "netdoctor",
	"docker-bridges":         "Docker",
	"docker-dns":             "Docker",
	"kube-proxy":             "kube-proxy",
	"calico":                 "Calico",
	"flannel-ipv4":           "flannel",
	"flannel-ipv6":           "flannel",
	"cni_hostport":           "a CNI plugin",
	"cni_plugins_masquerade": "a CNI plugin",
	"libvirt_network":        "libvirt",
	"f2b-table":              "fail2ban",
	"crowdsec":               "CrowdSec",
	"crowdsec6":              "CrowdSec",
	"lxc":                    "lxc",
	"lxd":                    "lxd",
	"incus":                  "incus",
}

// TableOwner is the program that has a table of nftables with that name to itself;
// "" when none is known. It may write the table anew at any time.
func TableOwner(name string) string {
	if strings.HasPrefix(name, "nm-shared-") { // and the device's name (src/core/nm-firewall-utils.c)
		return "NetworkManager"
	}
	return tableOwners[name]
}

// ownerByName says whose a rule is, in words, from the names that programs give to
// their chains and tables; "hand-made" when none is known.
func ownerByName(w *sim.Where) string {
	p := w.Rule
	if p == nil {
		return ""
	}
	if o := chainOwner(p.Chain); o != "" {
		return o
	}
	if o := TableOwner(p.Table); o != "" {
		return o
	}
	return "hand-made"
}

// chainOwner is the program that gives its chains such names; "" when none is known.
func chainOwner(name string) string {
	for _, o := range chainOwners {
		if strings.HasPrefix(name, o.prefix) {
			return o.owner
		}
	}
	return ""
}
