package kernel

import (
	"slices"
	"testing"
)

func TestNFQueues(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []uint16
		bad  bool
	}{
		{"", []uint16{}, false},
		{"    5   4321     0 2 65531     0     0        7  1\n65535   4400     0 2 65531     0     0        0  1\n", []uint16{5, 65535}, false},
		{"70000 1 0 2 65531 0 0 0 1\n", nil, true},
	} {
		got, err := nfQueues([]byte(c.in))
		if !slices.Equal(got, c.want) || (err != nil) != c.bad || !c.bad && got == nil {
			t.Errorf("%q: %v, %v", c.in, got, err)
		}
	}
}
