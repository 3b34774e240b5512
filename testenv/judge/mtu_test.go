package judge

import "testing"

// mtuCases are about sizes; a path that was learned is one that a packet too
// big was answered on before.
var mtuCases = []scenario{
	{"a smaller uplink", `host ip link set eth0 mtu 1400
world ip link set eth0 mtu 1400`, []string{
		"client udp 198.51.100.7:53 size=1400 df = dropped", "client udp 198.51.100.7:53 size=1372 df = delivered", "client udp 198.51.100.7:53 size=1373 df = dropped",
		"web icmp 198.51.100.7 size=1400 df = dropped", "web icmp 198.51.100.7 size=1372 = delivered",
		"client udp [2001:db8:ffff::7]:53 size=1352 df = delivered", "client udp [2001:db8:ffff::7]:53 size=1353 df = dropped", "client tcp 198.51.100.7:80 = delivered",
	}},
	{"the sender's own device", `client ip link set eth0 mtu 1300`, []string{
		"client udp 10.0.1.2:53 size=1272 df = delivered", "client udp 10.0.1.2:53 size=1273 df = dropped", "client udp 10.0.1.2:53 size=1400 = delivered", "client udp [2001:db8:1::2]:53 size=1253 df = dropped", "client udp [2001:db8:1::2]:53 size=1252 df = delivered",
	}},
	{"a route's MTU at the sender", `client ip route add 10.0.1.0/24 via 10.0.0.1 mtu 1200; ip -6 route add 2001:db8:1::/64 via 2001:db8::1 mtu 1300`, []string{
		"client udp 10.0.1.2:53 size=1172 df = delivered", "client udp 10.0.1.2:53 size=1173 df = dropped", "client udp 10.0.1.2:53 size=1400 = delivered", "client udp [2001:db8:1::2]:53 size=1253 df = dropped", "client udp [2001:db8:1::2]:53 size=1252 df = delivered",
	}},
	{"a route's MTU on the way", `host ip route add 10.0.1.2/32 dev br1 mtu 1200; ip -6 route add 2001:db8:1::2/128 dev br1 mtu 1300`, []string{
		"client udp 10.0.1.2:53 size=1172 df = delivered", "client udp 10.0.1.2:53 size=1173 df = dropped", "client udp [2001:db8:1::2]:53 size=1400 df", "client udp [2001:db8:1::2]:53 size=1252 df = delivered",
	}},
	{"a locked MTU", `host ip route add 10.0.1.2/32 dev br1 mtu lock 1200`, []string{"client udp 10.0.1.2:53 size=1173 df"}},
	{"a bridge port smaller than its bridge", `host ip link set br0 mtu 1500; ip link set vweb mtu 1400
web ip link set eth0 mtu 1400`, []string{"client udp 10.0.0.3:53 size=1400", "client udp 10.0.0.3:53 size=1372 = delivered", "client udp 10.0.0.3:53 size=1376", "client udp 10.0.0.3:53 size=1377"}},
	{"the other end of a veth smaller", `web ip link set eth0 mtu 1400`, []string{
		"client udp 10.0.0.3:53 size=1372 = delivered", "client udp 10.0.0.3:53 size=1376", "client udp 10.0.0.3:53 size=1377", "client udp 10.0.0.3:53 size=1400 df = dropped", "client udp [2001:db8::3]:53 size=1400 df = dropped",
	}},
	{"jumbo on one end", `client ip link set eth0 mtu 9000`, []string{"client udp 10.0.0.3:53 size=5000", "client udp 10.0.0.3:53 size=5000 df = dropped", "client udp 10.0.1.2:53 size=1400 = delivered"}},
	{"a learned path MTU", `host ip link set eth0 mtu 1400
world ip link set eth0 mtu 1400
client ping -c 1 -W 1 -M do -s 1400 198.51.100.7 >/dev/null || true; ping -6 -c 1 -W 1 -M do -s 1400 2001:db8:ffff::7 >/dev/null || true; ip route get 198.51.100.7 | grep -q 'mtu 1400'
host ip link set eth0 mtu 1500
world ip link set eth0 mtu 1500`, []string{
		"client udp 198.51.100.7:53 size=1400 df = dropped", "client udp 198.51.100.7:53 size=1372 df = delivered", "client udp 198.51.100.7:53 size=1400 = delivered",
		"client udp [2001:db8:ffff::7]:53 size=1400 df = dropped", "web udp 198.51.100.7:53 size=1400 df = delivered",
	}},
	{"a path MTU learned by the host does not count for what it forwards", `host ip route flush cache
world ip link set eth0 mtu 1500
world ip link add x0 type veth peer name x1; ip link set x0 mtu 1300 up; ip link set x1 mtu 1300 up; ip addr add 203.0.113.1/24 dev x0; ip neigh add 203.0.113.9 lladdr 02:00:00:00:00:09 dev x0; echo 1 > /proc/sys/net/ipv4/ip_forward
host ping -c 1 -W 1 -M do -s 1400 203.0.113.9 >/dev/null || true; ip route get 203.0.113.9 | grep -q 'mtu 1300'
world ip link del x0; ip addr add 203.0.113.9/32 dev lo`, []string{"host udp 203.0.113.9:53 size=1400 df = dropped", "client udp 203.0.113.9:53 size=1400 df = delivered"}},
}

func TestMTU(t *testing.T) {
	t.Parallel()
	runCases(t, six, (*scene).serveSix, mtuCases)
}
