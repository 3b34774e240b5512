package cli

import (
	"os"
	"strings"

	"github.com/mattn/go-isatty"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
)

// terminal is the file behind a stream if it is a terminal; nil when it is none.
func terminal(w any) *os.File {
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		return f
	}
	return nil
}

// style is how to write to stdout.
func (s *session) style() (render.Style, error) {
	e, g := s.env, &s.g
	st := render.Style{ASCII: !utf8Locale(e.Getenv), Quiet: g.quiet, Verbose: g.verbose, Short: g.short, FailOn: g.failOn}
	tty := terminal(e.Stdout)
	if tty != nil {
		st.Wrap, st.Width = true, columns(tty)
	}
	switch g.color {
	case "always":
		st.Color = true
	case "never":
	case "auto":
		st.Color = tty != nil && e.Getenv("NO_COLOR") == "" && e.Getenv("TERM") != "dumb"
	default:
		return st, s.choice("--color", g.color, []string{"auto", "always", "never"})
	}
	return st, nil
}

// utf8Locale follows setlocale(3): the first of the three that is set decides.
func utf8Locale(getenv func(string) string) bool {
	for _, k := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := getenv(k); v != "" {
			v = strings.ToLower(strings.ReplaceAll(v, "-", ""))
			return strings.Contains(v, "utf8")
		}
	}
	return false
}

// choice is the error for a flag whose value is none of those it may have.
func (s *session) choice(flag, value string, of []string) error {
	return app.Meant(app.Usagef("%s %q is none of %s", flag, value, strings.Join(of, ", ")), value, of, helpOf(s.command))
}
