package firewall

import "testing"

func TestLegacyTrace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		prefix, table, chain string
		num                  int
		policy, ok           bool
	}{
		{"TRACE: filter:FORWARD:rule:3 ", "filter", "FORWARD", 3, false, true},
		{"TRACE: nat:POSTROUTING:policy:2 ", "nat", "POSTROUTING", 2, true, true},
		{"TRACE: filter:a:b:rule:1 ", "filter", "a:b", 1, false, true},
		{"TRACE: filter:DOCKER-USER:return:2 ", "", "", 0, false, false},
		{"someone's own prefix", "", "", 0, false, false},
		{"TRACE: filter:FORWARD:rule:x ", "", "", 0, false, false},
	} {
		table, chain, num, policy, ok := LegacyTrace(tt.prefix)
		if table != tt.table || chain != tt.chain || num != tt.num || policy != tt.policy || ok != tt.ok {
			t.Errorf("%q: %q %q %d %v %v", tt.prefix, table, chain, num, policy, ok)
		}
	}
}
