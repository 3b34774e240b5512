package judge

import "testing"

// overlay is two hosts joined by a wire, with a bridge, a container and a
// vxlan device each.
const overlay = `
sbox true
host ip link add eth0 type veth peer name eth0 netns @far
host ip addr add 192.0.2.1/24 dev eth0; ip link set eth0 up; ip link add br0 type bridge; ip link set br0 up; ip addr add 10.9.0.1/24 dev br0
far ip addr add 192.0.2.2/24 dev eth0; ip link set eth0 up; ip link add br0 type bridge; ip link set br0 up; ip addr add 10.9.0.254/24 dev br0
host ip link add vc type veth peer name eth0 netns @client; ip link set vc master br0; ip link set vc up
far ip link add vs type veth peer name eth0 netns @server; ip link set vs master br0; ip link set vs up
client ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 mtu 1450 up
server ip addr add 10.9.0.3/24 dev eth0; ip link set eth0 mtu 1450 up
`

const tunnels = `
host ip link add vx0 type vxlan id 42 dstport 4789 local 192.0.2.1; ip link set vx0 master br0; ip link set vx0 up
far ip link add vx0 type vxlan id 42 dstport 4789 local 192.0.2.2; ip link set vx0 master br0; ip link set vx0 up
host bridge fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.2
far bridge fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.1
`

func TestVxlan(t *testing.T) {
	t.Parallel()
	supports(t, "vxlan", "ip link add vx0 type vxlan id 42 dstport 4789")
	serve := func(s *scene) {
		for _, n := range []string{"host", "far", "client", "server"} {
			s.serve(n, "tcp 80", "udp 53")
		}
	}
	runCases(t, overlay, serve, []scenario{
		{"no tunnel", `host true`, []string{"client tcp 10.9.0.3:80 = dropped"}},
		{"plain", tunnels, []string{"client tcp 10.9.0.3:80 = delivered", "client icmp 10.9.0.3 = delivered", "client udp 10.9.0.3:54 = refused", "host tcp 10.9.0.3:80 = delivered", "client tcp 10.9.0.254:80 = delivered", "client tcp 10.9.0.77:80 = dropped"}},
		{"another VNI at the far end", tunnels + `
far ip link del vx0; ip link add vx0 type vxlan id 43 dstport 4789 local 192.0.2.2; ip link set vx0 master br0; ip link set vx0 up; bridge fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.1`, []string{"client tcp 10.9.0.3:80 = dropped"}},
		{"another port at the far end", tunnels + `
far ip link del vx0; ip link add vx0 type vxlan id 42 dstport 8472 local 192.0.2.2; ip link set vx0 master br0; ip link set vx0 up; bridge fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.1`, []string{"client tcp 10.9.0.3:80 = dropped"}},
		{"the underlay's port is dropped at the far end", tunnels + `far nft 'add table ip f; add chain ip f i { type filter hook input priority 0; }; add rule ip f i udp dport 4789 drop'`, []string{"client tcp 10.9.0.3:80 = dropped", "host tcp 192.0.2.2:80 = delivered"}},
		{"the underlay's port is dropped on the way out", tunnels + `host nft 'add table ip f; add chain ip f o { type filter hook output priority 0; }; add rule ip f o udp dport 4789 drop'`, []string{"client tcp 10.9.0.3:80 = dropped"}},
		{"the way back has no tunnel end", tunnels + `far bridge fdb del 00:00:00:00:00:00 dev vx0 dst 192.0.2.1`, []string{"client tcp 10.9.0.3:80 = delivered"}},
		{"without learning and nobody knows the way back", `
host ip link add vx0 type vxlan id 42 dstport 4789 local 192.0.2.1 nolearning; ip link set vx0 master br0; ip link set vx0 up; bridge fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.2
far ip link add vx0 type vxlan id 42 dstport 4789 local 192.0.2.2 nolearning; ip link set vx0 master br0; ip link set vx0 up`, []string{"client tcp 10.9.0.3:80 = dropped"}},
		{"a remote instead of entries", `
host ip link add vx0 type vxlan id 42 dstport 4789 local 192.0.2.1 remote 192.0.2.2; ip link set vx0 master br0; ip link set vx0 up
far ip link add vx0 type vxlan id 42 dstport 4789 local 192.0.2.2 remote 192.0.2.1; ip link set vx0 master br0; ip link set vx0 up`, []string{"client tcp 10.9.0.3:80 = delivered"}},
		{"no route to the remote", `
host ip link add vx0 type vxlan id 42 dstport 4789 remote 198.51.100.2; ip link set vx0 master br0; ip link set vx0 up`, []string{"client tcp 10.9.0.3:80 = dropped"}},
		{"a tunnel end that nobody is", `
host ip link add vx0 type vxlan id 42 dstport 4789 local 192.0.2.1 remote 192.0.2.9; ip link set vx0 master br0; ip link set vx0 up`, []string{"client tcp 10.9.0.3:80 = dropped"}},
		{"too big for the underlay", tunnels + `
host ip link set eth0 mtu 1450; ip link set vx0 mtu 1450; ip link set br0 mtu 1450
far ip link set eth0 mtu 1450`, []string{"client udp 10.9.0.3:53 size=1420 df", "client udp 10.9.0.3:53 size=1372 = delivered", "client tcp 10.9.0.3:80 = delivered"}},
		{"fragments are measured, not what they are of", tunnels + `
host ip -6 addr add 2001:db8:9::1/64 dev br0 nodad; ip link set vx0 mtu 1300
far ip -6 addr add 2001:db8:9::2/64 dev br0 nodad; ip link set vx0 mtu 1300`, []string{"host icmp 2001:db8:9::2 size=2000 = delivered", "host icmp 10.9.0.254 size=2000 = delivered", "host udp [2001:db8:9::2]:53 size=2000"}},
		{"the vxlan device is down", tunnels + `host ip link set vx0 down`, []string{"client tcp 10.9.0.3:80 = dropped"}},
		{"over IPv6", `
host ip -6 addr add 2001:db8::1/64 dev eth0; ip link add vx0 type vxlan id 42 dstport 4789 local 2001:db8::1 remote 2001:db8::2; ip link set vx0 master br0; ip link set vx0 up
far ip -6 addr add 2001:db8::2/64 dev eth0; ip link add vx0 type vxlan id 42 dstport 4789 local 2001:db8::2 remote 2001:db8::1; ip link set vx0 master br0; ip link set vx0 up`, []string{"client tcp 10.9.0.3:80 = delivered"}},
		{"made in the host, living in a namespace of its own, as Docker's overlay", `
host ip link add vx0 type vxlan id 42 dstport 4789 local 192.0.2.1 remote 192.0.2.2; ip link set vx0 netns @sbox; ip link del vc
sbox ip link add br0 type bridge; ip link set br0 up; ip link set vx0 master br0; ip link set vx0 up; ip link add vc type veth peer name eth0 netns @client; ip link set vc master br0; ip link set vc up
client ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 mtu 1450 up
far ip link add vx0 type vxlan id 42 dstport 4789 local 192.0.2.2 remote 192.0.2.1; ip link set vx0 master br0; ip link set vx0 up`, []string{"client tcp 10.9.0.3:80 = delivered", "server tcp 10.9.0.2:80 = delivered"}},
	})
}
