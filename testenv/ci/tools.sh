#!/bin/sh
# Installs the host programs that the live tests use, where this is a Debian
# machine and this user may. Without them those tests skip and say why, or, with
# ND_LAB=require, fail.
set -eu
PATH=$PATH:/usr/sbin:/sbin
export PATH
missing=
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need ip iproute2
need nft nftables
need iptables iptables
need dockerd docker.io
need busybox busybox-static
need dnsmasq dnsmasq-base
need gcc gcc
need curl curl
need python3 python3
need conntrack conntrack
need musl-gcc musl-tools
need ping iputils-ping
# What reads the manual pages, the unit and the TAP that we write.
need groff groff-base
need systemd-analyze systemd
need prove perl
# The shells whose completions are tried.
need fish fish
need zsh zsh
# What the benchmarks of our own networks are held against.
[ -x /usr/lib/podman/netavark ] || missing="$missing netavark"
[ -x /usr/lib/podman/aardvark-dns ] || missing="$missing aardvark-dns"
[ -x /usr/lib/cni/bridge ] || missing="$missing containernetworking-plugins"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "not installed, and this user can't:$missing" >&2
	exit 0
fi
echo "installing:$missing"
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
