package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"
)

// Demo builds a small host, breaks it, and lets this very program say what is
// wrong and mend it, on w. It runs inside a lab (Rerun).
func Demo(ctx context.Context, w io.Writer) (err error) {
	l, err := Up(ctx, Default())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Down()) }()
	h, err := netlink.NewHandle()
	if err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}
	defer h.Close()
	for _, s := range []struct {
		say  string
		do   func() error
		args string
		want int // exit code that the story needs
	}{
		{"A small host: two networks, four containers, one published port, an internet.", nil, "ls", 0},
		{"All is well, and it says so briefly.", nil, "check", 0},
		{"Now somebody's network manager takes web's wire off its bridge:\n    ip link set veth-web nomaster", func() error { return unplug(h, hostEnd("web")) }, "check", 1},
		{"One path, hop by hop, predicted and then proved:", nil, "trace client web:80", 1},
		{"The name is not to blame:", nil, "dns web --from client", 0},
		{"Mend it:", nil, "fix --yes", 0},
		{"", nil, "check", 0},
	} {
		if s.say != "" {
			fmt.Fprintf(w, "\n# %s\n", strings.ReplaceAll(s.say, "\n", "\n# ")) //nolint:errcheck // only decoration
		}
		if s.do != nil {
			if err := s.do(); err != nil {
				return err
			}
		}
		fmt.Fprintf(w, "\n$ netdoctor %s\n", s.args) //nolint:errcheck // only decoration
		if err := self(ctx, w, s.want, strings.Fields(s.args)...); err != nil {
			return err
		}
	}
	return nil
}

// unplug takes a device off its bridge.
func unplug(h *netlink.Handle, name string) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding %s: %w", name, err)
	}
	if err := h.LinkSetNoMaster(link); err != nil {
		return fmt.Errorf("taking %s off its bridge: %w", name, err)
	}
	return nil
}

// self runs this program with arguments inside the lab; another exit code than
// wanted is an error.
func self(ctx context.Context, w io.Writer, want int, args ...string) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...) // #nosec G204 -- the program is this one
	cmd.Stdout, cmd.Stderr = w, w
	cmd.Env = append(os.Environ(), "NETDOCTOR_JOURNAL="+RunDir+"/journal")
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("running netdoctor %s: %w", strings.Join(args, " "), err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		return fmt.Errorf("netdoctor %s ended with %d, and %d was expected", strings.Join(args, " "), got, want)
	}
	return nil
}
