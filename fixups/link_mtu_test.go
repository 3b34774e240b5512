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

// Seen with make dryrun: a bridge whose MTU nobody set follows its lowest port.
func TestABridgesMTUFollowsItsLowestPort(t *testing.T) {
	t.Parallel()
	s := world(t)
	ns := s.Ns("host")
	set := func(mtu int, want int) {
		t.Helper()
		if err := (&fixups.LinkMTU{Where: fixups.At(s, "host"), Name: "veth1", MTU: mtu}).On(s); err != nil {
			t.Fatal(err)
		}
		if got := ns.Link("br-app").MTU; got != want {
			t.Errorf("veth1 has %d: br-app has %d, want %d", mtu, got, want)
		}
	}
	set(1400, 1400)
	set(1450, 1450)
	set(9000, 1500) // veth2's
	ns.Link("br-app").MTU = 1300
	set(1400, 1300) // somebody set it
}
