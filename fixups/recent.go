package fixups

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// RecentDel takes an address off a list of xt_recent, which frees it of a ban: the
// rule and the rest of the list stay (net/netfilter/xt_recent.c: recent_mt_proc_write).
type RecentDel struct {
	Where `json:"where"`
	List  string     `json:"list"`
	Addr  netip.Addr `json:"addr"`
}

// RecentAdd puts an address on a list, with as many packets as it had there; when
// they came can't be written, so that a ban which is undone lasts its whole time.
type RecentAdd struct {
	RecentDel
	Hits int `json:"hits"`
}

func (*RecentDel) Kind() string { return "recent-del" }
func (*RecentAdd) Kind() string { return "recent-add" }

func (o *RecentDel) Describe() string {
	return fmt.Sprintf("take %s off the list %s of xt_recent%s", o.Addr, o.List, o.in())
}

func (o *RecentAdd) Describe() string {
	return fmt.Sprintf("put %s on the list %s of xt_recent%s", o.Addr, o.List, o.in())
}

// Text is what is written to the list's file.
func (o *RecentDel) Text() string { return "-" + o.Addr.String() }

// Text is what is written to the list's file, once for each packet.
func (o *RecentAdd) Text() string { return "+" + o.Addr.String() }

func (o *RecentDel) Shell() []string { return []string{o.echo(o.Text())} }

func (o *RecentAdd) Shell() []string {
	return slices.Repeat([]string{o.echo(o.Text())}, max(o.Hits, 1))
}

// File is the list's.
func (o *RecentDel) File() (string, error) {
	if o.List == "" || strings.HasPrefix(o.List, ".") || strings.Contains(o.List, "/") {
		return "", fmt.Errorf("list %q of xt_recent: %w", o.List, snap.ErrUnsupported)
	}
	return "net/xt_recent/" + o.List, nil
}

func (o *RecentDel) echo(text string) string {
	cmd := fmt.Sprintf("echo %s > /proc/net/xt_recent/%s", text, word(o.List))
	if o.Host {
		return cmd
	}
	return o.line("sh", "-c", cmd)
}

// entry is the list, and where on it the address is; -1 nowhere.
func (o *RecentDel) entry(s *snap.Snapshot) (*snap.RecentList, int, error) {
	ns, err := o.find(s)
	if err != nil {
		return nil, -1, err
	}
	l := ns.RecentList(o.List)
	if l == nil {
		return nil, -1, snap.NotFoundf("%s has no list %s of xt_recent", o.ID, o.List)
	}
	return l, slices.IndexFunc(l.Entries, func(e snap.RecentEntry) bool { return e.Addr == o.Addr }), nil
}

func (o *RecentDel) On(s *snap.Snapshot) error {
	l, i, err := o.entry(s)
	if err != nil {
		return err
	}
	if i >= 0 {
		l.Entries = slices.Delete(slices.Clone(l.Entries), i, i+1)
	}
	return nil
}

func (o *RecentAdd) On(s *snap.Snapshot) error {
	l, i, err := o.entry(s)
	if err != nil {
		return err
	}
	e := snap.RecentEntry{Addr: o.Addr, AgesMs: make([]int64, max(o.Hits, 1))}
	l.Entries = slices.Clone(l.Entries)
	if i >= 0 {
		l.Entries[i] = e
	} else {
		l.Entries = append(l.Entries, e)
	}
	return nil
}

func (o *RecentDel) Inverse(s *snap.Snapshot) (Op, error) {
	l, i, err := o.entry(s)
	if err != nil || i < 0 {
		return nil, err
	}
	return &RecentAdd{*o, len(l.Entries[i].AgesMs)}, nil
}

func (o *RecentAdd) Inverse(s *snap.Snapshot) (Op, error) {
	_, i, err := o.entry(s)
	if err != nil || i >= 0 {
		return nil, err
	}
	del := o.RecentDel
	return &del, nil
}

// Risk is that whoever was shut out may come in.
func (*RecentDel) Risk() Risk { return RiskMedium }

// Object is whether the address is on the list: stamps come with every packet.
func (o *RecentDel) Object(s *snap.Snapshot) any {
	_, i, err := o.entry(s)
	if err != nil {
		return nil
	}
	return []any{o.List, i >= 0}
}

func (o *RecentDel) Holds(s *snap.Snapshot) bool {
	_, i, err := o.entry(s)
	return err == nil && i < 0
}

func (o *RecentAdd) Holds(s *snap.Snapshot) bool {
	_, i, err := o.entry(s)
	return err == nil && i >= 0
}
