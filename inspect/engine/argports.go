package engine

import (
	"regexp"
	"slices"
	"strconv"
)

// portWord is a number that stands alone or behind ":" or "=" in an argument:
// "9090", "--port=9090", "0.0.0.0:9090", "tcp://:9090/".
var portWord = regexp.MustCompile(`(?:^|[:=\s])(\d{1,5})(?:$|[/\s,;"'])`)

// argPorts are the numbers in a command line that may be ports, in order.
func argPorts(args []string) []uint16 {
	var out []uint16
	for _, a := range args {
		if len(a) > 4096 {
			a = a[:4096]
		}
		for _, m := range portWord.FindAllStringSubmatch(a, 32) {
			if n, err := strconv.ParseUint(m[1], 10, 16); err == nil && n != 0 && len(out) < 32 && !slices.Contains(out, uint16(n)) {
				out = append(out, uint16(n))
			}
		}
	}
	return out
}
