#!/bin/sh
# Builds a deb as .goreleaser.yaml would, installs it into a scratch root, uses it
# there, removes it, and looks whether anything is left. Needs Go and dpkg; root
# only because dpkg asks for it. A deb that is given, such as goreleaser's, is not
# built.
#
#   .ci/package/deb.sh [VERSION [BINARY|FILE.deb]]
set -eu
cd "$(dirname "$0")/../.."
version=${1:-0.0.0}
binary=${2:-}
command -v dpkg-deb >/dev/null || { echo "dpkg-deb is not installed" >&2; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
tree=$work/tree
root=$work/root
arch=$(dpkg --print-architecture)

build() {
	install -d "$tree/usr/bin" "$tree/DEBIAN"
	if [ -n "$binary" ]; then
		install -m 0755 "$binary" "$tree/usr/bin/netdoctor"
	else
		make -s build VERSION="$version" BIN="$tree/usr/bin/netdoctor"
	fi
	size=$(stat -c %s "$tree/usr/bin/netdoctor")
	echo "the program: $size bytes"
	# What is copied onto a broken host stays small.
	[ -n "$binary" ] || [ "$size" -lt 20000000 ] || { echo "more than 20 MB" >&2; exit 1; }
	go run ./cmd/gen man "$work/man"
	go run ./cmd/gen completions "$work/completions"
	install -D -m 0644 -t "$tree/usr/share/man/man1" "$work"/man/*.1
	install -D -m 0644 -t "$tree/usr/share/man/man7" "$work"/man/*.7
	gzip -9n "$tree"/usr/share/man/man?/*
	install -D -m 0644 "$work/completions/netdoctor.bash" "$tree/usr/share/bash-completion/completions/netdoctor"
	install -D -m 0644 "$work/completions/_netdoctor" "$tree/usr/share/zsh/vendor-completions/_netdoctor"
	install -D -m 0644 "$work/completions/netdoctor.fish" "$tree/usr/share/fish/vendor_completions.d/netdoctor.fish"
	install -D -m 0644 .ci/package/netdoctor-watch.service "$tree/usr/lib/systemd/system/netdoctor-watch.service"
	install -D -m 0644 LICENSE "$tree/usr/share/doc/netdoctor/copyright"
	cat >"$tree/DEBIAN/control" <<END
Package: netdoctor
Version: $version
Architecture: $arch
Maintainer: netdoctor maintainers <maintainers@netdoctor.example>
Section: net
Priority: optional
Homepage: https://github.com/netdoctor/netdoctor
Description: says why a container can't reach something, proves it, and mends it
END
	dpkg-deb --root-owner-group --build "$tree" "$work/netdoctor.deb" >/dev/null
}
case $binary in
*.deb) cp "$binary" "$work/netdoctor.deb" ;;
*) build ;;
esac

# A root of its own: nothing of this machine is touched.
install -d "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/triggers"
: >"$root/var/lib/dpkg/status"
(cd "$root" && find . | sort) >"$work/before"
in_root() { dpkg --root="$root" --force-not-root --force-script-chrootless --log=/dev/null "$@"; }
in_root -i "$work/netdoctor.deb" >/dev/null
in_root -L netdoctor | grep -qx /usr/bin/netdoctor
"$root/usr/bin/netdoctor" version | grep -F "$version"
"$root/usr/bin/netdoctor" check --snapshot cmd/cli/testdata/docker20.ndsnap -q
[ -z "$(find "$root/usr" -perm /6000)" ] || { echo "something is setuid" >&2; exit 1; }
case $(file -b "$root/usr/bin/netdoctor" 2>/dev/null || echo unknown) in
*dynamically*) echo "the binary is not static" >&2; exit 1 ;;
esac
in_root -P netdoctor >/dev/null
(cd "$root" && find . -path ./var/lib/dpkg -prune -o -print | sort) >"$work/after"
(cd "$root" && grep -v '^\./var/lib/dpkg' "$work/before" || true) | sort >"$work/want"
left=$(comm -13 "$work/want" "$work/after" | grep -vx '\./usr\|\./var' || true)
[ -z "$left" ] || { echo "left behind: $left" >&2; exit 1; }
echo "deb: built, installed, used, removed; nothing is left"
