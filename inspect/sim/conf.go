package sim

import (
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// confKey names net/FAMILY/conf/DEV/KEY.
type confKey struct {
	v6       bool
	dev, key string
}

// sysctls are those of a namespace that are numbers: those of devices, of which
// most are 0 and left out, and the others by key.
type sysctls struct {
	numbers map[string]int
	confs   map[confKey]int
}

// sortSysctls reads the numbers: each step of a packet asks for some.
func sortSysctls(values map[string]string) *sysctls {
	s := &sysctls{numbers: make(map[string]int), confs: make(map[confKey]int)}
	for path, v := range values {
		i, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil {
			continue // not a number, which no default is overridden by
		}
		switch k, ok := confOf(path); {
		case !ok:
			s.numbers[path] = i
		case i != 0:
			s.confs[k] = i
		}
	}
	return s
}

// confOf takes the path of a device's sysctl apart.
func confOf(path string) (confKey, bool) {
	fam, rest, ok := strings.Cut(strings.TrimPrefix(path, "net/"), "/conf/")
	cut := strings.LastIndexByte(rest, '/') // a device's name may hold dots, but no slash
	if !ok || cut <= 0 || fam != "ipv4" && fam != "ipv6" {
		return confKey{}, false
	}
	return confKey{fam == "ipv6", rest[:cut], rest[cut+1:]}, true
}

// sysctl is a number; def when the key is not there.
func (n *netns) sysctl(key string, def int) int {
	if i, ok := n.sysctls().numbers[key]; ok {
		return i
	}
	if i, err := strconv.Atoi(strings.TrimSpace(n.n.Sysctls[key])); err == nil {
		return i // a device's
	}
	return def
}

// conf is net/FAMILY/conf/DEV/KEY; 0 when it is not there.
func (n *netns) conf(fam snap.Family, dev *snap.Link, key string) int {
	return n.sysctls().confs[confKey{fam == snap.IPv6, dev.Name, key}]
}

// confAll is the "all" value of a key.
func (n *netns) confAll(fam snap.Family, key string) int {
	return n.sysctls().confs[confKey{fam == snap.IPv6, "all", key}]
}

// confMax is IN_DEV_MAXCONF of include/linux/inetdevice.h, confOr IN_DEV_ORCONF.
func (n *netns) confMax(dev *snap.Link, key string) int {
	return max(n.confAll(snap.IPv4, key), n.conf(snap.IPv4, dev, key))
}

func (n *netns) confOr(dev *snap.Link, key string) bool {
	return n.confAll(snap.IPv4, key) != 0 || n.conf(snap.IPv4, dev, key) != 0
}
