package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manuals are pages of section 1 in man(7)'s macros: one a command, topics of the
// help in section 7.
func manuals(root *cobra.Command, version string) map[string][]byte {
	out := map[string][]byte{}
	walk(root, func(c *cobra.Command) {
		name := strings.ReplaceAll(c.CommandPath(), " ", "-")
		section := "1"
		if !c.Runnable() && !c.HasSubCommands() {
			section = "7"
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, ".TH %s %s \"\" \"netdoctor %s\" \"netdoctor\"\n.SH NAME\n%s \\- %s\n", strings.ToUpper(roff(name)), section, roff(version), roff(name), roff(c.Short))
		if c.Runnable() {
			fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(c.UseLine()))
		}
		if c.Long != "" {
			fmt.Fprintf(&b, ".SH DESCRIPTION\n.nf\n%s\n.fi\n", roff(c.Long))
		}
		if section == "1" {
			options(&b, "OPTIONS", c.NonInheritedFlags())
			options(&b, "OPTIONS OF EVERY COMMAND", c.InheritedFlags())
		}
		if c.Example != "" {
			fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(unindent(c.Example)))
		}
		if c != root {
			fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1)\n", roff(strings.ReplaceAll(c.Parent().CommandPath(), " ", "-")))
		}
		out[name+"."+section] = b.Bytes()
	})
	return out
}

func options(b *bytes.Buffer, title string, set *pflag.FlagSet) {
	if !set.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	set.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(spell(f)), roff(use(f)))
		}
	})
}

// roff is text that groff takes for nothing else: backslashes, hyphens, double
// quotes, which bound a macro's words, and dots and quotes that begin a line.
func roff(t string) string {
	t = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(t)
	lines := strings.Split(t, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
