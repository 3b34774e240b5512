package shell

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// special is what means more than itself to a shell (POSIX.1-2017, Shell
// Command Language, 2.2), but for quotes and backslash.
const special = "|&;<>()$`*?[]#~\n"

// split takes a line apart as a shell does. Anything that the shell would work
// out first is refused.
func split(line string) ([]string, error) {
	var out []string
	var cur strings.Builder
	in := false // a word has begun
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == ' ' || c == '\t':
			if in {
				out = append(out, cur.String())
				cur.Reset()
			}
			in = false
		case c == '\'' || c == '"':
			end := strings.IndexByte(line[i+1:], c)
			if end < 0 {
				return nil, fmt.Errorf("a quote is not closed")
			}
			text := line[i+1 : i+1+end]
			if c == '"' && strings.ContainsAny(text, "$`\\") {
				return nil, fmt.Errorf("%q needs a shell to be read: %w", text, snap.ErrUnsupported)
			}
			cur.WriteString(text)
			in = true
			i += end + 1
		case c == '\\' && i+1 < len(line):
			i++
			cur.WriteByte(line[i])
			in = true
		case strings.IndexByte(special, c) >= 0:
			return nil, fmt.Errorf("%q needs a shell to be read; one command at a time: %w", string(c), snap.ErrUnsupported)
		default:
			cur.WriteByte(c)
			in = true
		}
	}
	if in {
		out = append(out, cur.String())
	}
	return out, nil
}
