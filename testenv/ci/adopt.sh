#!/bin/bash
# The simulator and the kernel beside each other on networks of our own, built as
# each generation of Docker would, with the proxy and without it. Everything
# happens in namespaces of its own. It ends with 1 when any flow is predicted
# wrongly, or is unknown.
#
#	testenv/ci/adopt.sh NETDOCTOR TRUTH
set -euo pipefail
bin=$(realpath "$1") truth=$(realpath "$2") specs=$(realpath "$(dirname "$0")/../testdata")
if [ "${ADOPT_INSIDE:-}" = "" ]; then
	export ADOPT_INSIDE=1
	exec unshare -n -m -p -f --mount-proc --propagation private "$0" "$bin" "$truth"
fi
mount -t tmpfs none /run
mkdir -p /run/netns
ip link set lo up
ip netns add lan
ip link add eth0 type veth peer name eth0 netns lan
ip addr add 198.51.100.1/24 dev eth0
ip link set eth0 up
ip route add default via 198.51.100.2
ip -n lan addr add 198.51.100.2/24 dev eth0
ip -n lan link set eth0 up
ip -n lan link set lo up
ip -n lan route add default via 198.51.100.1
ip netns exec lan sysctl -q net.ipv4.ip_forward=1
bad=0
# compare SPEC GENERATION DESTINATIONS OPTIONS...
compare() {
	local spec=$1 like=$2 dst=$3 all=/proc/$$/ns/net
	shift 3
	"$bin" setup -f "$specs/$spec" --like "$like" "$@" >/dev/null
	for f in /run/netdoctor/env/netns/*; do all=$all,$f; done
	"$truth" adopt --dir /run/truth --seed 1 --nses "$all,lan" --dst "$dst" >/dev/null
	"$truth" run --dir /run/truth --seed 1 --where --batch --cmd "$bin trace --batch --no-probe -o json" -v >/run/out
	echo "$spec $like $*: $(grep '^agree' /run/out)"
	grep '^WRONG\|^UNKNOWN' /run/out | cut -c1-300 || true
	grep -q 'unknown 0, wrong 0' /run/out || bad=1
	"$bin" teardown >/dev/null
}
up=198.51.100.1
for like in 20.10 29-iptables 29-nftables; do
	for more in "" --no-proxy; do
		compare adopt.yaml $like $up:8080/tcp,$up:8081/tcp,$up:5432/tcp,127.0.0.1:5432/tcp,127.0.0.1:8080/tcp,$up:5353/udp,172.17.0.1:8080/tcp,172.18.0.1:8081/tcp $more
	done
	# macvlan, overlay, a service, IPv6, gateway modes, no masquerading, shared namespaces.
	compare adopt-wide.yaml $like $up:8080/tcp,$up:8082/tcp,$up:8084/tcp,$up:8085/tcp,127.0.0.1:8086/tcp,$up:8086/tcp,$up:8087/udp
done
exit $bad
