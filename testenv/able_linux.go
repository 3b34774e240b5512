package testenv

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/spec"
)

// possible refuses what this kernel can't do, before anything is changed.
func (u *up) possible() error {
	for i := range u.sp.Networks {
		kinds := map[string][]string{"bridge": {"bridge", "veth"}, "macvlan": {"macvlan"}, "ipvlan": {"ipvlan"}, "overlay": {"bridge", "veth", "vxlan"}}
		for _, k := range kinds[u.sp.Networks[i].Driver] {
			if err := supported(k); err != nil {
				return fmt.Errorf("network %s: %w", u.sp.Networks[i].Name, err)
			}
		}
		if p := u.sp.Networks[i].Options["parent"]; u.sp.Networks[i].Driver == "macvlan" && p == "" {
			if err := supported("dummy"); err != nil {
				return fmt.Errorf("network %s without a parent: %w", u.sp.Networks[i].Name, err)
			}
		}
	}
	return nil
}

// roomy refuses a directory for the state that is too full: what is under way
// could be undone, and what was made before that would stay.
func (u *up) roomy() error {
	const each, base = 64 << 10, 256 << 10 // a container's six files and a journal of many rules, in pages
	need := uint64(base + each*(len(u.sp.Networks)+u.boxes()))
	var st unix.Statfs_t
	if err := unix.Statfs(string(u.dir), &st); err != nil {
		return fmt.Errorf("reading the space for the state: %w", err)
	}
	free := st.Bavail * uint64(st.Bsize) // #nosec G115 -- a block size
	if free < need || st.Files > 0 && st.Ffree < need/(8<<10) {
		return snap.Hint(fmt.Errorf("the state needs up to %d KiB below %s, and %d KiB with %d files are free there: %w", need>>10, u.dir, free>>10, st.Ffree, unix.ENOSPC), "df -h "+string(u.dir)+"; df -i "+string(u.dir))
	}
	return nil
}

// passable refuses a host whose rules in tables of the legacy kind drop what is
// forwarded: the kernel asks them beside ours, which are in nf_tables, and one
// drop is enough (nf_hook_slow, net/netfilter/core.c).
func (u *up) passable(ctx context.Context) error {
	h, err := ns.OpenHost(u.h.HostNS)
	if err != nil {
		return err
	}
	defer h.Close()                     //nolint:errcheck // only a descriptor
	rs, _ := kernel.ReadRuleset(ctx, h) // what may not be read is said where it counts
	for _, f := range []snap.Family{snap.IPv4, snap.IPv6} {
		t := rs.Table(snap.IPTablesLegacy, f, "filter")
		if t == nil {
			continue
		}
		v6 := slices.ContainsFunc(u.sp.Networks, func(n spec.Network) bool { return n.IPv6 })
		if c := t.Chain("FORWARD"); c != nil && strings.EqualFold(c.Policy, "drop") && (f == snap.IPv4 || v6) {
			tool := "iptables-legacy"
			if f == snap.IPv6 {
				tool = "ip6tables-legacy"
			}
			return snap.Hint(fmt.Errorf("this host's firewall is %s's, and its FORWARD chain has the policy DROP: it would drop what the networks' rules let pass: %w", tool, snap.ErrUnsupported),
				tool+" -P FORWARD ACCEPT, or move the host's rules to nf_tables (update-alternatives --config iptables)")
		}
	}
	return nil
}

// devices makes sure that the device which a network sits on is there, and that
// no other one has its bridge's name.
func (s *session) devices(n *driver.Network) error {
	what := "network " + n.Net.Name
	if n.Net.Bridge != "" && s.sur.devices[n.Net.Bridge] {
		return fmt.Errorf("%s: there is a device %s already", what, n.Net.Bridge)
	}
	lower := n.Net.Parent
	if n.Net.Options["netdoctor.vid"] != "" {
		lower, _, _ = strings.Cut(lower, ".")
	}
	if lower != "" && !strings.HasPrefix(lower, "dm-") && !s.sur.devices[lower] {
		return snap.NotFoundf("%s: there is no device %s for it to sit on", what, lower)
	}
	return nil
}

// rehearse chooses everything on a copy of the state, so that what can't be had
// (an address, a port, a device's name) is an error before the first change.
func (u *up) rehearse(ctx context.Context) error {
	st := *u.st
	st.Networks, st.Containers = slices.Clone(st.Networks), slices.Clone(st.Containers)
	c := *u.chooser
	c.st, c.warnings = &st, nil
	s := *u.session
	s.chooser = &c
	try := &up{session: &s, sp: u.sp, o: u.o, rehearsal: true}
	for i := range u.st.Containers {
		try.held = append(try.held, u.st.Containers[i].Ctr.Ports...)
	}
	try.o.DryRun = true
	err := try.build(ctx)
	u.sur = c.sur // what was read of the host is good for the set-up, too
	return err
}

// freeForUs is freePort, for a port that may be held by a container of ours that
// goes first.
func (u *up) freeForUs(p snap.Port) error {
	if slices.ContainsFunc(u.held, func(q snap.Port) bool { return q.Proto == p.Proto && q.HostPort == p.HostPort }) {
		return nil
	}
	return u.freePort(p)
}
