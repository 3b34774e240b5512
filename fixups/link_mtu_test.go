package fixups_test

import (
	"testing"

	"github.com/netdoctor/netdoctor/fixups"
)

// Seen with make dryrun: the kernel changes IPv6's MTU of a device with its own.
func TestIPv6MTUFollowsTheDevices(t *testing.T) {
	t.Parallel()
	s := world(t)
	const key = "net/ipv6/conf/eth0/mtu"
	op := &fixups.LinkMTU{Where: fixups.At(s, "web"), Name: "eth0", MTU: 1400}
	if err := op.On(s); err != nil {
		t.Fatal(err)
	}
	ns := s.Ns(op.Netns())
	if v, ok := ns.Sysctls[key]; ok {
		t.Errorf("%s came to be: %q", key, v)
	}
	ns.Sysctls = map[string]string{key: "1400"}
	back := &fixups.LinkMTU{Where: op.Where, Name: "eth0", MTU: 1500}
	if err := back.On(s); err != nil {
		t.Fatal(err)
	}
	if v := ns.Sysctls[key]; v != "1500" {
		t.Errorf("%s = %q, want 1500", key, v)
	}
}
