package diag

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
)

func TestOwnersByName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ table, chain, want string }{
		{"filter", "KUBE-ROUTER-FORWARD", "kube-router"},
		{"filter", "KUBE-POD-FW-AB12", "kube-router"},
		{"filter", "KUBE-FORWARD", "kube-proxy"},
		{"kube-proxy", "cluster-ips-check", "kube-proxy"},
		{"filter", "cali-FORWARD", "Calico"},
		{"calico", "filter-FORWARD", "Calico"},
		{"nat", "FLANNEL-POSTRTG", "flannel"},
		{"filter", "ts-forward", "Tailscale"},
		{"cni_hostport", "masquerading", "a CNI plugin"},
		{"netavark", "nv_1328f617_10_89_7_0_nm24", "Podman (netavark)"},
		{"filter", "DOCKER-USER", "the user's own rules"},
		{"filter", "FORWARD", "hand-made"},
		{"", "", ""},
	} {
		w := &sim.Where{Rule: &rules.Place{Table: tt.table, Chain: tt.chain}}
		if tt.table == "" {
			w.Rule = nil
		}
		if got := ownerByName(w); got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.table, tt.chain, got, tt.want)
		}
	}
}
