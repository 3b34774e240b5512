package fixups

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// target reads -j and the options of targets, which follow it.
func (a *argReader) target(name string) error {
	r := a.rule
	switch name {
	case "ACCEPT", "DROP", "RETURN":
		r.verdict = &snap.Verdict{Code: strings.ToLower(name)}
		return nil
	case "REJECT":
		return a.reject()
	case "MASQUERADE", "DNAT", "SNAT", "REDIRECT":
		return a.nat(name)
	case "MARK":
		return a.setMark()
	case "TCPMSS":
		return a.mss()
	case "LOG":
		return a.log()
	}
	if name == strings.ToUpper(name) && xtTarget(name) {
		return fmt.Errorf("target %s: %w", name, snap.ErrUnsupported)
	}
	r.verdict = &snap.Verdict{Code: "jump", Chain: name}
	return nil
}

// xtTarget says whether a name is a target of iptables' and no chain.
func xtTarget(name string) bool {
	switch name {
	case "QUEUE", "NFQUEUE", "NETMAP", "CONNMARK", "TTL", "HL", "DSCP", "TOS", "CT", "NOTRACK", "NFLOG", "AUDIT", "TRACE", "CHECKSUM",
		"SET", "CLASSIFY", "TPROXY", "TEE", "SECMARK", "CONNSECMARK", "SYNPROXY", "IDLETIMER", "LED", "RATEEST", "ECN", "HMARK", "CLUSTERIP":
		return true
	}
	return false
}

// option takes the value of an option that comes next, if it does.
func (a *argReader) take(names ...string) (string, bool) {
	if a.i+1 < len(a.args) {
		if slices.Contains(names, a.args[a.i]) {
			a.i += 2
			return a.args[a.i-1], true
		}
	}
	return "", false
}

func (a *argReader) flag(name string) bool {
	if a.i < len(a.args) && a.args[a.i] == name {
		a.i++
		return true
	}
	return false
}

// reject fills struct ipt_reject_info or ip6t_reject_info.
func (a *argReader) reject() error {
	names := map[string]uint32{
		"icmp-net-unreachable": 0, "icmp-host-unreachable": 1, "icmp-proto-unreachable": 2, "icmp-port-unreachable": 3,
		"icmp-net-prohibited": 5, "icmp-host-prohibited": 6, "tcp-reset": 7, "icmp-admin-prohibited": 8,
	}
	with := uint32(3)
	if a.rule.v6 {
		names = map[string]uint32{
			"icmp6-no-route": 0, "no-route": 0, "icmp6-adm-prohibited": 1, "adm-prohibited": 1, "icmp6-addr-unreachable": 3, "addr-unreach": 3,
			"icmp6-port-unreachable": 4, "port-unreach": 4, "tcp-reset": 6,
		}
		with = 4
	}
	if v, ok := a.take("--reject-with"); ok {
		if with, ok = names[v]; !ok {
			return fmt.Errorf("reject with %q: %w", v, snap.ErrUnsupported)
		}
	}
	b := make([]byte, 8)
	native.PutUint32(b, with)
	a.rule.target = &snap.Xt{Target: true, Name: "REJECT", Info: b}
	return nil
}

// nat fills the structs of the NAT targets. IPv4's MASQUERADE, SNAT and REDIRECT
// have the old struct, DNAT has nf_nat_range2 since iptables 1.8.8 (revision 2).
func (a *argReader) nat(name string) error {
	r := a.rule
	var n natArg
	var err error
	opt := map[string]string{"DNAT": "--to-destination", "SNAT": "--to-source", "MASQUERADE": "--to-ports", "REDIRECT": "--to-ports"}[name]
	v, ok := a.take(opt, strings.TrimSuffix(opt, "s"))
	switch {
	case !ok && (name == "DNAT" || name == "SNAT"):
		return fmt.Errorf("%s lacks %s", name, opt)
	case !ok:
	case name == "MASQUERADE" || name == "REDIRECT":
		err = n.ports(v)
	default:
		n, err = natRead(v, r.v6)
	}
	if err != nil {
		return err
	}
	for {
		switch {
		case a.flag("--random"):
			n.flags |= natRandom
			continue
		case a.flag("--persistent"):
			n.flags |= natPersist
			continue
		case a.flag("--random-fully"):
			return fmt.Errorf("--random-fully: %w", snap.ErrUnsupported)
		}
		break
	}
	x := &snap.Xt{Target: true, Name: name}
	switch {
	case name == "DNAT":
		x.Rev, x.Info = 2, n.blob(48)
	case r.v6:
		if name == "SNAT" {
			x.Rev = 1
		}
		x.Info = n.blob(40)
	default:
		x.Info = n.blob4()
	}
	r.target = x
	return nil
}

// setMark fills struct xt_mark_tginfo2.
func (a *argReader) setMark() error {
	v, ok := a.take("--set-mark", "--set-xmark")
	if !ok {
		return fmt.Errorf("MARK without --set-mark: %w", snap.ErrUnsupported)
	}
	m, err := markOf(v, false)
	if err != nil {
		return err
	}
	b := make([]byte, 8)
	native.PutUint32(b, m.mark)
	native.PutUint32(b[4:], m.mask|m.mark) // libxt_MARK.c: --set-mark sets the bits of both
	if a.args[a.i-2] == "--set-xmark" {
		native.PutUint32(b[4:], m.mask)
	}
	a.rule.target = &snap.Xt{Target: true, Name: "MARK", Rev: 2, Info: b}
	return nil
}

// mss fills struct xt_tcpmss_info; 0xffff stands for the path's MTU.
func (a *argReader) mss() error {
	b := make([]byte, 8)
	native.PutUint16(b, 0xffff)
	if v, ok := a.take("--set-mss"); ok {
		n, err := strconv.ParseUint(v, 10, 16)
		if err != nil {
			return fmt.Errorf("MSS %q: %w", v, err)
		}
		native.PutUint16(b, uint16(n))
	} else if !a.flag("--clamp-mss-to-pmtu") {
		return fmt.Errorf("TCPMSS without an option")
	}
	a.rule.target = &snap.Xt{Target: true, Name: "TCPMSS", Info: b}
	return nil
}

// log fills struct ipt_log_info.
func (a *argReader) log() error {
	b := make([]byte, 32)
	b[0] = 4 // LOG_WARNING
	for {
		if v, ok := a.take("--log-prefix"); ok {
			if len(v) > 29 {
				return fmt.Errorf("log prefix of %d bytes", len(v))
			}
			copy(b[2:], v)
			continue
		}
		if v, ok := a.take("--log-level"); ok {
			n, err := strconv.ParseUint(v, 10, 3)
			if err != nil {
				return fmt.Errorf("log level %q: %w", v, snap.ErrUnsupported)
			}
			b[0] = byte(n)
			continue
		}
		break
	}
	a.rule.target = &snap.Xt{Target: true, Name: "LOG", Info: b}
	return nil
}
