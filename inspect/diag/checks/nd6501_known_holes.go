package checks

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// knownAsOf is when the table below was last compared with the records.
const knownAsOf = "2026-11-25"

// known is a hole in an engine's networking that a version has.
type known struct {
	id, what string
	// from and before bound the affected versions, pairwise: from included,
	// before not.
	ranges [][2]string
	// when says whether this host has what it takes; nil: any does.
	when func(*snap.Snapshot) bool
	mend string
}

// knownHoles are those of Docker Engine that concern networks, each read in its
// CVE record or advisory.
func knownHoles() []known {
	return []known{
		{
			id: "CVE-2020-13401", what: "containers can send router advertisements that the host and other containers take",
			ranges: [][2]string{{"0", "19.03.11"}}, mend: "19.03.11",
		},
		{
			id: "CVE-2023-28840, CVE-2023-28841, CVE-2023-28842", what: "encrypted overlay networks take and send traffic in the clear",
			ranges: [][2]string{{"1.12.0", "20.10.24"}, {"23.0.0", "23.0.3"}}, when: encryptedOverlay, mend: "20.10.24 or 23.0.3",
		},
		{
			id: "CVE-2024-29018", what: "names that containers of internal networks ask for are forwarded from the host to a resolver on its loopback",
			ranges: [][2]string{{"0", "23.0.11"}, {"25.0.0", "25.0.5"}}, when: internalAndLocalResolver, mend: "23.0.11, 25.0.5 or 26.0.0",
		},
		{
			id: "CVE-2024-32473", what: "IPv6 is not disabled on interfaces of IPv4 networks",
			ranges: [][2]string{{"26.0.0", "26.0.2"}}, when: macvlanLike, mend: "26.0.2",
		},
		{
			id: "CVE-2025-54410", what: "after a reload of firewalld networks are not kept apart any more",
			ranges: [][2]string{{"0", "25.0.13"}, {"26.0.0", "28.0.0"}}, when: underFirewalld, mend: "25.0.13 or 28.0.0",
		},
		{
			id: "CVE-2025-54388", what: "after a reload of firewalld neighbours of the host reach ports that are published at 127.0.0.1",
			ranges: [][2]string{{"28.2.0", "28.3.3"}}, when: underFirewalld, mend: "28.3.3",
		},
		{
			id: "CVE-2026-92542", what: "local users can put frames into encrypted overlay networks of other nodes",
			ranges: [][2]string{{"0", "25.0.19"}, {"26.0.0", "29.8.2"}}, when: encryptedOverlay, mend: "25.0.19 or 29.8.2",
		},
	}
}

// nd6501: the engine's version has known holes in its networking.
//
// A table of holes in Docker's networking, compared with the version that the engine
// names and with what this host has (a swarm's encrypted networks, firewalld, internal
// networks). It is part of this program, goes as far as the date that the finding
// names, and holds only what concerns networks. Distributions mend old versions
// without changing the number: where the version has a distributor's suffix, ask its
// security tracker.
//
// See it by hand:
//
//	docker version -f '{{.Server.Version}}'
//	apt changelog docker.io | grep CVE
//
// Sources: CVE records of the named CVEs (github.com/CVEProject/cvelistV5); GHSA-mq39-4gv4-mvpx, GHSA-x84c-p2g9-rqv9, GHSA-4vq8-7jfc-9cvp, GHSA-x4rx-4gw3-53p4, GHSA-6m9p-4h64-m6vh; docker-ce 19.03.11 release notes
func nd6501() diag.Check {
	return diag.Check{
		Code: "ND6501", Name: "known-holes", Severity: diag.Warning, Since: "0.1", Audit: true,
		Title: "The engine's version has known holes in its networking",
		Detect: func(in *diag.Input) []diag.Finding {
			e := in.Snap.Engine("docker")
			if e == nil || e.Remote || numbers(e.Version) == nil {
				return nil
			}
			var out []diag.Finding
			for _, k := range knownHoles() {
				if !k.affects(e.Version) || k.when != nil && !k.when(in.Snap) {
					continue
				}
				f := diag.Finding{
					Summary:  fmt.Sprintf("Docker %s: %s (%s)", e.Version, k.what, k.id),
					Cause:    "the version is one of those that the record names (table of " + knownAsOf + ")",
					Subject:  diag.Subject{Kind: "engine", Name: "docker/" + k.id, Netns: in.Snap.Host.Netns},
					Evidence: []diag.Evidence{ev("docker version -f '{{.Server.Version}}'", e.Version, snap.RefEngine(e.Name))},
					Advice:   "upgrade Docker to " + k.mend + " or newer",
				}
				if _, suffix, ok := strings.Cut(e.Version, "+"); ok {
					f.Advice += "; " + suffix + " is a distributor's build, which may have it mended: its security tracker tells"
					f.Severity = diag.Info
				}
				out = append(out, f)
			}
			return out
		},
	}
}

// affects says whether a version is within one of the ranges.
func (k *known) affects(version string) bool {
	v := numbers(version)
	return slices.ContainsFunc(k.ranges, func(r [2]string) bool {
		return slices.Compare(v, numbers(r[0])) >= 0 && slices.Compare(v, numbers(r[1])) < 0
	})
}

// numbers are those of a version, without suffix; nil when it has none. A
// release candidate counts as what it is a candidate for.
func numbers(version string) []int {
	version, _, _ = strings.Cut(version, "+")
	version, _, _ = strings.Cut(version, "-")
	var out []int
	for p := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(p)
		if err != nil {
			return nil
		}
		out = append(out, n)
	}
	return out
}

func encryptedOverlay(s *snap.Snapshot) bool {
	return slices.ContainsFunc(s.Networks, func(n snap.Network) bool {
		_, ok := n.Options["encrypted"]
		return ok && n.Driver == "overlay"
	})
}

func internalAndLocalResolver(s *snap.Snapshot) bool {
	h := s.Resolver("host")
	if h == nil || len(h.ResolvConf.Nameservers) == 0 || !h.ResolvConf.Nameservers[0].IsLoopback() {
		return false
	}
	return slices.ContainsFunc(s.Networks, func(n snap.Network) bool { return n.Internal && n.Engine == "docker" })
}

func macvlanLike(s *snap.Snapshot) bool {
	return slices.ContainsFunc(s.Networks, func(n snap.Network) bool { return n.Driver == "macvlan" || n.Driver == "ipvlan" })
}

func underFirewalld(s *snap.Snapshot) bool { return s.Host.Services["firewalld"] > 0 }
