package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestImageIsBuilt builds the image of .ci/package/Dockerfile, where podman is
// installed, and runs the program with nothing around it but what the image holds.
func TestImageIsBuilt(t *testing.T) {
	podman, err := exec.LookPath("podman")
	if err != nil {
		t.Skip("no image is built without podman: ", err)
	}
	if os.Getuid() != 0 {
		t.Skip("root only may enter the image's root directory")
	}
	dir := t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("make", "-s", "-C", "../..", "build", "VERSION=1.2.3", "BIN="+dir+"/context/netdoctor")
	own := func(args ...string) string {
		return run(podman, append([]string{"--root", dir + "/root", "--runroot", dir + "/run", "--tmpdir", dir + "/tmp", "--storage-driver", "vfs", "--events-backend", "none"}, args...)...)
	}
	own("build", "--quiet", "--pull=never", "--file", "../../.ci/package/Dockerfile", "--tag", "netdoctor", dir+"/context")
	if got := own("image", "inspect", "--format", "{{.Config.Entrypoint}} {{.Config.Cmd}}", "netdoctor"); got != "[/netdoctor] [check]" {
		t.Errorf("the image runs %s", got)
	}
	root := own("image", "mount", "netdoctor")
	defer own("image", "unmount", "netdoctor")
	if got := run("chroot", root, "/netdoctor", "version"); !strings.Contains(got, "1.2.3") {
		t.Errorf("the image's program is %q", got)
	}
	files, err := filepath.Glob(root + "/*")
	if err != nil || len(files) != 1 {
		t.Errorf("the image holds %v (%v)", files, err)
	}
}
