package kernel

import "testing"

func TestACounterStandsBelowItsName(t *testing.T) {
	t.Parallel()
	const text = "TcpExt: SyncookiesSent IPReversePathFilter TCPTimeouts\nTcpExt: 1 42 3\nIpExt: InNoRoutes IPReversePathFilter\nIpExt: 7 8\n"
	for _, tt := range []struct {
		group, name string
		want        int64
	}{
		{"TcpExt", "IPReversePathFilter", 42},
		{"IpExt", "InNoRoutes", 7},
		{"TcpExt", "InNoRoutes", 0},
		{"MPTcpExt", "IPReversePathFilter", 0},
	} {
		if got := netstat([]byte(text), tt.group, tt.name); got != tt.want {
			t.Errorf("%s %s is %d, want %d", tt.group, tt.name, got, tt.want)
		}
	}
	if got := netstat([]byte("TcpExt: A B\nTcpExt: 1\n"), "TcpExt", "B"); got != 0 {
		t.Errorf("a value that is missing is %d", got)
	}
}
