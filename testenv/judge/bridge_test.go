package judge

import "testing"

// bridgeCases are one thing about a bridge, its ports or the frames each.
var bridgeCases = []scenario{
	{"port flags that do no harm", `host bridge link set dev vweb learning off; bridge link set dev vclient guard on 2>/dev/null || true`, []string{"client tcp 10.0.0.3:80 = delivered"}},
	{"unknown unicast is not flooded, and nothing is learned", `host bridge link set dev vweb learning off flood off; for m in $(bridge fdb show brport vweb | awk '!/permanent/ {print $1}'); do bridge fdb del $m dev vweb master; done`, []string{"client tcp 10.0.0.3:80 = dropped"}},
	{"broadcast is not flooded to a port", `host bridge link set dev vweb bcast_flood off`, []string{"client tcp 10.0.0.3:80 = dropped"}},
	{"broadcast is not flooded to the port that asks", `host bridge link set dev vweb bcast_flood off`, []string{"web tcp 10.0.0.2:80 = delivered"}},
	{"a static entry that points elsewhere", `
host ip link add vx type veth peer name vy netns @world; ip link set vx master br0; ip link set vx up
world ip link set vy up
host for m in $(bridge fdb show brport vweb | awk '!/permanent/ {print $1}'); do bridge fdb replace $m dev vx master static; done`, []string{"client tcp 10.0.0.3:80", "client tcp 10.0.1.2:80 = delivered"}},
	// A frame of web's moves the entry back (net/bridge/br_fdb.c:br_fdb_update), and
	// with IPv6 it sends some by itself.
	{"a static entry that points elsewhere, of a neighbour that is known", `
web echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
host ip link add vx type veth peer name vy netns @world; ip link set vx master br0; ip link set vx up
world ip link set vy up
client ping -c 1 -W 1 10.0.0.3 >/dev/null
host for m in $(bridge fdb show brport vweb | awk '!/permanent/ {print $1}'); do bridge fdb replace $m dev vx master static; done`, []string{"client tcp 10.0.0.3:80 = dropped"}},
	{"tc sends all of a port out of another device", `
host ip link add vx type veth peer name vy netns @world; ip link set vx up; tc qdisc add dev vclient ingress; tc filter add dev vclient parent ffff: protocol ip prio 1 u32 match ip dst 10.0.1.0/24 action mirred egress redirect dev vx
world ip link set vy up`, []string{"client tcp 10.0.1.2:80 = dropped", "client tcp 10.0.0.3:80 = delivered"}},
	{"tc sends all of a port to a bridge without ports", `
host ip link add brx type bridge; ip link set brx up; tc qdisc add dev vclient ingress; tc filter add dev vclient parent ffff: protocol ip prio 1 u32 match ip dst 10.0.1.0/24 action mirred egress redirect dev brx`, []string{"client tcp 10.0.1.2:80 = dropped", "client tcp 10.0.0.3:80 = delivered"}},
	{"tc sends what goes out by a port to another bridge", `
host ip link add brx type bridge; ip link set brx up; ip link add vx type veth peer name vy netns @world; ip link set vx master brx; ip link set vx up; tc qdisc add dev vweb clsact; tc filter add dev vweb egress protocol ip prio 1 u32 match ip protocol 6 0xff action mirred egress redirect dev brx
world ip link set vy up`, []string{"client tcp 10.0.0.3:80 = dropped", "host tcp 10.0.0.3:80 = dropped", "client udp 10.0.0.3:53"}},
	{"an ifb gives back what it is given", `
host ip link add ifb0 type ifb; ip link set ifb0 up; tc qdisc add dev ifb0 root tbf rate 200mbit burst 200kb limit 1mb; tc qdisc add dev vclient clsact; tc filter add dev vclient ingress protocol all prio 1 u32 match u32 0 0 action mirred egress redirect dev ifb0; tc filter add dev vclient egress protocol all prio 1 u32 match u32 0 0 action mirred egress redirect dev ifb0`, []string{"client tcp 10.0.0.3:80 = delivered", "client tcp 10.0.1.2:80 = delivered", "web tcp 10.0.0.2:80"}},
	{"an ifb with a filter of its own", `
host ip link add ifb0 type ifb; ip link set ifb0 up; tc qdisc add dev ifb0 clsact; tc filter add dev ifb0 egress protocol ip prio 1 u32 match ip dport 80 0xffff action mirred egress redirect dev lo; tc qdisc add dev vclient clsact; tc filter add dev vclient ingress protocol all prio 1 u32 match u32 0 0 action mirred egress redirect dev ifb0`, []string{"client tcp 10.0.0.3:80", "client tcp 10.0.1.2:81"}},
	{"a sticky entry that points elsewhere", `
host ip link add vx type veth peer name vy netns @world; ip link set vx master br0; ip link set vx up
world ip link set vy up
host for m in $(bridge fdb show brport vweb | awk '!/permanent/ {print $1}'); do bridge fdb replace $m dev vx master static sticky; done`, []string{"client tcp 10.0.0.3:80 = dropped"}},
	{"one port isolated only", `host bridge link set dev vweb isolated on`, []string{"client tcp 10.0.0.3:80 = delivered"}},
	{"both isolated, the host still there", `host bridge link set dev vweb isolated on; bridge link set dev vclient isolated on`, []string{"client tcp 10.0.0.3:80 = dropped", "client tcp 10.0.1.2:80 = delivered", "host tcp 10.0.0.3:80 = delivered"}},
	{"a blocking port", `host bridge link set dev vweb state 4`, []string{"client tcp 10.0.0.3:80", "web tcp 10.0.0.2:80"}},
	{"a listening port", `host bridge link set dev vweb state 1`, []string{"client tcp 10.0.0.3:80 = dropped"}},
	{"a learning port", `host bridge link set dev vweb state 2`, []string{"client tcp 10.0.0.3:80 = dropped", "web tcp 10.0.0.1:80 = dropped"}},
	{"a disabled port", `host bridge link set dev vweb state 0`, []string{"client tcp 10.0.0.3:80 = dropped"}},
	{"a locked port that knows nobody", `host bridge link set dev vweb learning off locked on; for m in $(bridge fdb show brport vweb | awk '!/permanent/ {print $1}'); do bridge fdb del $m dev vweb master; done`, []string{"client tcp 10.0.0.3:80 = dropped", "web tcp 10.0.0.1:80 = dropped"}},
	{"a locked port that knows who is there", `host bridge link set dev vweb locked on`, []string{"client tcp 10.0.0.3:80"}},
	{"the bridge is down", `host ip link set br0 down`, []string{"client tcp 10.0.0.3:80 = dropped", "client tcp 10.0.1.2:80 = dropped"}},
	{"the host's end is down", `host ip link set vweb down`, []string{"client tcp 10.0.0.3:80 = dropped", "host tcp 10.0.0.3:80 = dropped"}},
	{"not on the bridge", `host ip link set vweb nomaster`, []string{"client tcp 10.0.0.3:80 = dropped", "web tcp 10.0.1.2:80 = dropped"}},
	{"on the wrong bridge", `host ip link set vweb master br1`, []string{"client tcp 10.0.0.3:80 = dropped", "web tcp 10.0.1.1:80"}},
	{"arp off in the target", `web ip link set eth0 arp off`, []string{"client tcp 10.0.0.3:80"}},
	{"arp off in the sender", `client ip link set eth0 arp off`, []string{"client tcp 10.0.0.3:80"}},
	{"proxy_arp of a port", `host ip link set dev vweb type bridge_slave proxy_arp on`, []string{"client tcp 10.0.0.3:80"}},
	{"neighbour suppression without a neighbour", `host bridge link set dev vweb neigh_suppress on`, []string{"client tcp 10.0.0.3:80"}},
	{"an arp rule in the target", `web nft 'add table arp f; add chain arp f i { type filter hook input priority 0; policy drop; }'`, []string{"client tcp 10.0.0.3:80 = dropped", "web tcp 10.0.0.2:80 = dropped"}},
	{"an arp rule on the way out", `client nft 'add table arp f; add chain arp f o { type filter hook output priority 0; }; add rule arp f o arp operation request drop'`, []string{"client tcp 10.0.0.3:80 = dropped"}},
	{"bridge rules by port", `host nft 'add table bridge f; add chain bridge f f { type filter hook forward priority 0; }; add rule bridge f f iifname vclient oifname vweb ip protocol tcp drop'`, []string{"client tcp 10.0.0.3:80 = dropped", "client udp 10.0.0.3:53 = delivered", "web tcp 10.0.0.2:80"}},
	{"bridge rules for what goes up", `host nft 'add table bridge f; add chain bridge f i { type filter hook input priority 0; }; add rule bridge f i tcp dport 80 drop'`, []string{"client tcp 10.0.0.1:80 = dropped", "client tcp 10.0.1.2:80 = dropped", "client tcp 10.0.0.3:80 = delivered"}},
	{"ebtables", `host ebtables-nft -A FORWARD -p IPv4 --ip-proto tcp --ip-dport 80 -j DROP`, []string{"client tcp 10.0.0.3:80 = dropped", "client udp 10.0.0.3:53 = delivered"}},
	{"ebtables on ARP", `host ebtables-nft -A FORWARD -p ARP -o vweb -j DROP`, []string{"client tcp 10.0.0.3:80 = dropped"}},
	{"bridge-nf and a rule on the ports", `
host echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
host iptables -A FORWARD -m physdev --physdev-in vclient --physdev-out vweb -p udp --dport 53 -j DROP`, []string{"client udp 10.0.0.3:53 = dropped", "web udp 10.0.0.2:53 = delivered"}},
	{"physdev does not see what is routed", `host iptables -A FORWARD -m physdev --physdev-is-bridged -p tcp -j DROP`, []string{"client tcp 10.0.1.2:80 = delivered", "client tcp 10.0.0.3:80 = dropped"}},
	{"a reject of bridged packets", `host iptables -A FORWARD -i br0 -o br0 -p tcp -j REJECT --reject-with tcp-reset`, []string{"client tcp 10.0.0.3:80 = refused"}},
	{"connection state of bridged packets", `host iptables -P FORWARD DROP; iptables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT; iptables -A FORWARD -i br0 -s 10.0.0.2 -j ACCEPT`, []string{"client tcp 10.0.0.3:80 = delivered", "web tcp 10.0.0.2:80 = dropped", "client udp 10.0.0.3:54 = refused"}},
	{"an ingress chain of a port", `host nft 'add table netdev f; add chain netdev f i { type filter hook ingress device vclient priority 0; }; add rule netdev f i tcp dport 80 drop'`, []string{"client tcp 10.0.0.3:80 = dropped", "web tcp 10.0.0.2:80 = delivered"}},
	{"an egress chain of a port", `host nft 'add table netdev f; add chain netdev f e { type filter hook egress device vweb priority 0; }; add rule netdev f e tcp dport 80 drop'`, []string{"client tcp 10.0.0.3:80 = dropped"}},
	{"an ingress chain of the bridge", `host nft 'add table netdev f; add chain netdev f i { type filter hook ingress device br0 priority 0; }; add rule netdev f i tcp dport 80 drop'`, []string{"client tcp 10.0.0.3:80 = delivered", "client tcp 10.0.1.2:80 = dropped"}},
	{"the host's MAC is asked of another port", `host ip link set br0 address 02:00:00:00:aa:01`, []string{"client tcp 10.0.1.2:80 = delivered", "client tcp 10.0.0.3:80 = delivered"}},
	{"promiscuous bridge", `host ip link set br0 promisc on`, []string{"client tcp 10.0.0.3:80 = delivered", "client tcp 10.0.1.2:80 = delivered"}},
	{"a port that is promiscuous", `host ip link set vweb promisc on
web ip link set eth0 promisc on`, []string{"client tcp 10.0.0.3:80 = delivered"}},
	{"group forwarding and STP", `host ip link set br0 type bridge stp_state 1 forward_delay 200; for i in $(seq 300); do bridge link show | grep -c 'state forwarding' | grep -q 3 && break; sleep 0.05; done`, []string{"client tcp 10.0.0.3:80 = delivered"}},
}

func TestBridge(t *testing.T) {
	t.Parallel()
	runCases(t, six, (*scene).serveSix, bridgeCases)
}
