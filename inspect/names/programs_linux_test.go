package names_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// lookUp is a Go program that asks for a name with Go's own resolver.
func lookUp(name string) {
	r := net.Resolver{PreferGo: true}
	list, err := r.LookupNetIP(context.Background(), "ip4", name)
	if err != nil {
		os.Exit(2)
	}
	for _, a := range list {
		fmt.Println(a.Unmap())
	}
	os.Exit(0)
}

// programs asks real programs of the asker's own files and namespace: one of
// the GNU C library, one of Go, and one of musl where it could be built.
func programs(t *testing.T, c *snap.Container, name, musl string, p names.Path) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{"glibc": {"getent", "ahostsv4", name}, "go": {self, "look-up", name}}
	if musl != "" {
		all["musl"] = []string{musl, name}
	}
	for libc, args := range all {
		root := fmt.Sprintf("/proc/%d/root", c.PID)
		cmd := exec.CommandContext(t.Context(), "nsenter", append([]string{
			fmt.Sprintf("--net=/proc/%d/ns/net", c.PID), "unshare", "-m", "sh", "-c",
			// A file of another mount namespace can't be bound: a copy is.
			"mount -t tmpfs tmpfs /mnt && for f in resolv.conf hosts; do cat " + root + "/etc/$f >/mnt/$f && mount --bind /mnt/$f /etc/$f || exit 99; done; exec \"$@\"", "sh",
		}, args...)...)
		out, err := cmd.Output()
		if cmd.ProcessState.ExitCode() == 99 {
			t.Fatalf("%s: putting its files in place: %v", c.Name, err)
		}
		var list []string
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); len(f) > 0 && !slices.Contains(list, f[0]) {
				list = append(list, f[0])
			}
		}
		want := p.Libc[libc]
		if want == names.Unknown {
			continue // musl asks servers that differ at once: either may be first
		}
		if (want == names.Resolved) != (err == nil && len(list) > 0) {
			t.Errorf("%s %s: %s was to get %s, and got %v (%v)", c.Name, name, libc, want, list, err)
		}
		if libc == "musl" && len(p.Answers) > 20 && len(list) > 0 && !slices.ContainsFunc(list, func(a string) bool { return !slices.Contains(p.Answers, a) }) {
			continue // before 1.2.4 it does not ask by TCP and takes what fits into 512 octets
		}
		if want == names.Resolved && !same(p.Answers, list) && name != "localhost" && p.Verdict == names.Resolved {
			t.Errorf("%s %s: %s was to get %v, and got %v", c.Name, name, libc, p.Answers, list)
		}
	}
}

// muslProgram builds a static program that asks as musl does; "" where
// musl-gcc (Debian's musl-tools) is not installed.
func muslProgram(t *testing.T) string {
	t.Helper()
	cc, err := exec.LookPath("musl-gcc")
	if err != nil {
		t.Log("no musl-gcc: musl is not asked")
		return ""
	}
	dir := t.TempDir()
	src := dir + "/look.c"
	if err := os.WriteFile(src, []byte(muslSource), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), cc, "-static", "-o", dir+"/look", src).CombinedOutput(); err != nil {
		t.Fatalf("building the musl program: %v\n%s", err, out)
	}
	return dir + "/look"
}

const muslSource = `#include <netdb.h>
#include <stdio.h>
#include <arpa/inet.h>
int main(int n, char **arg) {
	struct addrinfo hint = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
	char text[INET_ADDRSTRLEN];
	if (n != 2 || getaddrinfo(arg[1], 0, &hint, &list)) return 2;
	for (; list; list = list->ai_next) puts(inet_ntop(AF_INET, &((struct sockaddr_in *)list->ai_addr)->sin_addr, text, sizeof text));
	return 0;
}
`
