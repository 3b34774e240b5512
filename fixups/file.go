package fixups

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// FileWrite gives a name service file new contents. The file stays the same
// inode with its mode and owner, since containers have it mounted by inode.
type FileWrite struct {
	// Owner is Resolver.Owner: "host" or a Container.Ref.
	Owner string `json:"owner"`
	// Path is on the host: the host's own file, or the engine's own copy of a
	// container's. With Pid it is a path inside that process's root.
	Path string `json:"path"`
	Pid  int    `json:"pid,omitempty"`
	// File is what the file is to the resolver: "resolv.conf" or "hosts".
	File    string `json:"file"`
	Content string `json:"content"`
	// Old is what must be in the file now; nil: what the snapshot says of a
	// resolv.conf, and for hosts whatever is there. fixups/apply fills it in.
	Old *string `json:"old,omitempty"`
	// Conf and Hosts are the contents as a libc reads them; nil: FileWrite
	// reads them itself, in the simple way.
	Conf  *snap.ResolvConf `json:"conf,omitempty"`
	Hosts []snap.HostsLine `json:"hosts,omitempty"`
}

func (*FileWrite) Kind() string { return "file-write" }

// Netns is "": a file is in none.
func (*FileWrite) Netns() string { return "" }

func (o *FileWrite) Describe() string {
	if o.Owner == "host" {
		return "write " + o.Path
	}
	return fmt.Sprintf("write %s of %s", o.File, o.Owner)
}

func (o *FileWrite) path() string {
	if o.Pid == 0 {
		return o.Path
	}
	return "/proc/" + strconv.Itoa(o.Pid) + "/root/" + strings.TrimPrefix(o.Path, "/")
}

// Shell writes into the file that is there: sed -i or mv would make another
// inode, which a container would not see.
func (o *FileWrite) Shell() []string {
	if o.Content == "" {
		return []string{"true > " + word(o.path())}
	}
	return []string{printInto(o.Content, o.path())}
}

// printInto is the line of a POSIX shell that writes a text into a file. What a
// screen shows escaped, such as the tabs of a hosts file, is escaped for printf,
// so that the line does when it is copied what it says.
func printInto(text, path string) string {
	format, args := `printf '%s\n' `, strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 && r != '\n' || r > 0x7e }) {
		format = `printf '%b\n' `
		for i := range args {
			args[i] = octal(args[i])
		}
	}
	for i := range args {
		args[i] = word(args[i])
	}
	return format + strings.Join(args, " ") + " > " + word(path)
}

// octal escapes for printf's %b (POSIX, utility printf): \t, \\, and \0ddd.
func octal(l string) string {
	var b strings.Builder
	for i := range len(l) {
		switch c := l[i]; {
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\\':
			b.WriteString(`\\`)
		case c < 0x20 || c > 0x7e:
			fmt.Fprintf(&b, `\0%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (o *FileWrite) On(s *snap.Snapshot) error {
	r := s.Resolver(o.Owner)
	if r == nil {
		return snap.NotFoundf("the name service files of %s are not known", o.Owner)
	}
	switch o.File {
	case "resolv.conf":
		if o.Conf != nil {
			r.ResolvConf = *o.Conf
		} else {
			r.ResolvConf = readConf(o.Content)
		}
	case "hosts":
		if o.Hosts != nil {
			r.Hosts = slices.Clone(o.Hosts)
		} else {
			r.Hosts = readHosts(o.Content)
		}
	default:
		return fmt.Errorf("writing %s: %w", o.File, snap.ErrUnsupported)
	}
	return nil
}

func (o *FileWrite) Inverse(s *snap.Snapshot) (Op, error) {
	r := s.Resolver(o.Owner)
	if r == nil {
		return nil, snap.NotFoundf("the name service files of %s are not known", o.Owner)
	}
	now := o.Content
	back := &FileWrite{Owner: o.Owner, Path: o.Path, Pid: o.Pid, File: o.File, Old: &now}
	switch o.File {
	case "resolv.conf":
		c := r.ResolvConf
		back.Conf, back.Content = &c, c.Raw
	case "hosts":
		back.Hosts = append([]snap.HostsLine{}, r.Hosts...)
		back.Content = hostsText(r.Hosts)
	default:
		return nil, fmt.Errorf("writing %s: %w", o.File, snap.ErrUnsupported)
	}
	if o.Old != nil {
		back.Content = *o.Old
	}
	if o.Holds(s) {
		return nil, nil
	}
	return back, nil
}

func (o *FileWrite) Risk() Risk {
	if o.Owner == "host" {
		return RiskMedium
	}
	return RiskLow
}

func (o *FileWrite) Object(s *snap.Snapshot) any {
	r := s.Resolver(o.Owner)
	if r == nil {
		return nil
	}
	if o.File == "hosts" {
		return r.Hosts
	}
	return r.ResolvConf.Raw
}

// Holds compares hosts files by what they say.
func (o *FileWrite) Holds(s *snap.Snapshot) bool {
	r := s.Resolver(o.Owner)
	switch {
	case r == nil:
		return false
	case o.File == "hosts" && o.Hosts != nil:
		return slices.EqualFunc(r.Hosts, o.Hosts, sameHosts)
	case o.File == "hosts":
		return slices.EqualFunc(r.Hosts, readHosts(o.Content), sameHosts)
	}
	return r.ResolvConf.Raw == o.Content && (r.ResolvConf.Exists || o.Content != "")
}

func sameHosts(a, b snap.HostsLine) bool {
	return a.Addr == b.Addr && slices.Equal(a.Names, b.Names)
}

func hostsText(list []snap.HostsLine) string {
	var b strings.Builder
	for _, h := range list {
		fmt.Fprintf(&b, "%s\t%s\n", h.Addr, strings.Join(h.Names, " "))
	}
	return b.String()
}

// readConf reads resolv.conf(5) as far as fixes write it; inspect/resolv, which
// is on this package's floor, has the libcs' finer points.
func readConf(text string) snap.ResolvConf {
	c := snap.ResolvConf{
		Exists: true, Raw: text, Nameservers: []netip.Addr{}, Search: []string{}, Options: []string{}, Ndots: 1, TimeoutS: 5, Attempts: 2,
	}
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(f[1]); err == nil {
				c.Nameservers = append(c.Nameservers, a)
			} else {
				c.BadLines = append(c.BadLines, line)
			}
		case "search":
			c.Search = f[1:]
		case "domain":
			c.Search = f[1:2]
		case "options":
			for _, opt := range f[1:] {
				c.Options = append(c.Options, opt)
				readOption(&c, opt)
			}
		}
	}
	return c
}

func readOption(c *snap.ResolvConf, opt string) {
	key, val, _ := strings.Cut(opt, ":")
	n, err := strconv.Atoi(val)
	switch key {
	case "ndots":
		if err == nil {
			c.Ndots = min(max(n, 0), 15)
		}
	case "timeout":
		if err == nil {
			c.TimeoutS = min(max(n, 0), 30)
		}
	case "attempts":
		if err == nil {
			c.Attempts = min(max(n, 0), 5)
		}
	case "rotate":
		c.Rotate = true
	case "use-vc":
		c.UseVC = true
	case "edns0":
		c.EDNS0 = true
	case "single-request", "single-request-reopen":
		c.SingleRequest = true
	}
}

func readHosts(text string) []snap.HostsLine {
	out := []snap.HostsLine{}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		if a, err := netip.ParseAddr(f[0]); err == nil {
			out = append(out, snap.HostsLine{Line: i + 1, Addr: a, Names: f[1:]})
		}
	}
	return out
}
