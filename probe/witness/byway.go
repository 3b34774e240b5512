package witness

import "github.com/netdoctor/netdoctor/inspect/snap"

// byWay puts sightings that are in order in each namespace alone into the order of
// the way: from the sender's namespace over the ends of veths, and back from where
// the question came to. The sockets of several namespaces have no common clock:
// the kernel stamps packets only once somebody has made it begin to
// (net/core/dev.c:net_enable_timestamp), some time later.
func byWay(all []sighting, from string, peer func(netns, dev string) string) []sighting {
	var out []sighting
	at := from
	for _, answer := range []bool{false, true} {
		var list []sighting
		for _, s := range all {
			if s.Answer == answer {
				list = append(list, s)
			}
		}
		for len(list) > 0 {
			var here, rest []sighting
			next := ""
			for _, s := range list {
				if s.Netns != at {
					rest = append(rest, s)
					continue
				}
				here = append(here, s)
				if s.What == snap.SeenTransmit {
					if p := peer(s.Netns, s.Device); p != "" && p != at {
						next = p
					}
				}
			}
			out, list = append(out, here...), rest
			if next == "" || !holds(list, next) {
				if len(list) > 0 { // it goes on where no veth leads
					next = list[0].Netns
				} else {
					break // the answer begins where the question ended
				}
			}
			at = next
		}
	}
	return out
}

func holds(list []sighting, netns string) bool {
	for i := range list {
		if list[i].Netns == netns {
			return true
		}
	}
	return false
}
