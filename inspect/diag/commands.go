package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// The commands by which a person sees what an engine says of its own. CNI has no
// tool for that, and crictl (Kubernetes) none for networks: there it is the file.

// ToolOf is the engine's command line, which takes docker's words; "" when there is
// none. A container of containerd whose name has a slash is a pod's.
func ToolOf(eng, name string) string {
	switch {
	case eng == "docker" || eng == "podman":
		return eng
	case snap.IsDocker(eng):
		return "docker -H unix:///run/user/$(id -u " + strings.TrimPrefix(eng, "docker@") + ")/docker.sock"
	case snap.IsPodman(eng):
		return "sudo -iu " + strings.TrimPrefix(eng, "podman@") + " podman"
	case eng == "containerd" && !strings.Contains(name, "/"):
		return "nerdctl"
	}
	return ""
}

// InspectCommand shows a container.
func InspectCommand(c *snap.Container) string {
	tool := ToolOf(c.Engine, c.Name)
	switch {
	case tool != "":
		return tool + " inspect " + c.Name
	case c.Engine == "netdoctor":
		return "netdoctor inspect " + c.Name
	case c.Engine == "containerd":
		return "crictl inspect " + short(c.ID) + " || crictl inspectp " + short(c.ID)
	}
	return "cat /var/lib/cni/results/*" + c.ID + "*"
}

// NetworkCommand shows a network.
func NetworkCommand(n *snap.Network) string {
	switch {
	case n.Engine == "netdoctor":
		return "netdoctor inspect net:" + n.Name
	case (n.Engine == "cni" || n.Engine == "containerd") && n.File != "":
		return "cat " + n.File
	}
	return cmp.Or(ToolOf(n.Engine, ""), n.Engine) + " network inspect " + n.Name
}

// EngineCommand has the engine do something with a container.
func EngineCommand(c *snap.Container, verb string) string {
	return strings.TrimSpace(ToolOf(c.Engine, c.Name) + " " + verb + " " + c.Name)
}

// PortCommand shows what a container publishes.
func PortCommand(c *snap.Container) string {
	switch tool := ToolOf(c.Engine, c.Name); {
	case tool != "":
		return tool + " port " + c.Name
	case c.Engine == "netdoctor":
		return "netdoctor ps"
	}
	return InspectCommand(c)
}

// ListCommand shows the containers of an engine, those that do not run, too.
func ListCommand(c *snap.Container) string {
	switch tool := ToolOf(c.Engine, c.Name); {
	case tool != "":
		return tool + " ps -a"
	case c.Engine == "netdoctor":
		return "netdoctor ps"
	case c.Engine == "containerd":
		return "crictl ps -a"
	}
	return "ls /var/lib/cni/results"
}

// LogCommand shows what a container's program last said; "" when nobody keeps that.
func LogCommand(c *snap.Container) string {
	switch tool := ToolOf(c.Engine, c.Name); {
	case tool != "":
		return tool + " logs --tail 20 " + c.Name
	case c.Engine == "containerd":
		return "crictl logs --tail 20 " + short(c.ID)
	}
	return ""
}

// ExecCommand runs a command inside of a container.
func (in *Input) ExecCommand(c *snap.Container, command string) string {
	switch tool := ToolOf(c.Engine, c.Name); {
	case tool != "":
		return tool + " exec " + c.Name + " " + command
	case c.Engine == "netdoctor":
		return "netdoctor exec " + c.Name + " " + command
	case c.Engine == "containerd":
		return "crictl exec " + short(c.ID) + " " + command
	}
	return in.IPCommand(c.Netns, command)
}

// short is an id as tools print it.
func short(id string) string { return id[:min(len(id), 12)] }

// ConnectCommand puts a container on a network of its engine; the options are the
// engine's, "" for none.
func ConnectCommand(eng, options, network, name string) string {
	return networkVerb(eng, "connect", options, network, name)
}

// DisconnectCommand takes a container off a network.
func DisconnectCommand(eng, network, name string) string {
	return networkVerb(eng, "disconnect", "", network, name)
}

// CreateCommand makes a network anew with options; "" where an engine's networks are
// files that a person writes.
func CreateCommand(eng, options string) string {
	tool := ToolOf(eng, "")
	if tool == "" {
		return ""
	}
	return tool + " network create " + options + " NAME"
}

// RemoveCommand takes a network away.
func RemoveCommand(n *snap.Network) string {
	switch tool := ToolOf(n.Engine, ""); {
	case tool != "":
		return tool + " network rm " + n.Name
	case n.File != "":
		return "rm " + n.File
	}
	return "netdoctor teardown"
}

// UnpauseCommand lets the frozen processes of a container go on.
func UnpauseCommand(c *snap.Container) string {
	if tool := ToolOf(c.Engine, c.Name); tool != "" {
		return tool + " unpause " + c.Name
	}
	return "let the engine resume " + c.Name
}

// MTUOption is how a network is given an MTU for good, in its engine's words; "" where
// no option is known.
func MTUOption(n *snap.Network, mtu int) string {
	switch {
	case n.Engine == "podman":
		return fmt.Sprintf("podman network create --opt mtu=%d …", mtu)
	case n.Engine == "docker" && n.Name == "bridge":
		return fmt.Sprintf("\"mtu\": %d in /etc/docker/daemon.json", mtu)
	case snap.IsDocker(n.Engine) && n.Name == "bridge":
		return fmt.Sprintf("\"mtu\": %d in the user's ~/.config/docker/daemon.json", mtu)
	case snap.IsDocker(n.Engine):
		return fmt.Sprintf("docker network create -o com.docker.network.driver.mtu=%d …", mtu)
	case n.Engine == "netdoctor":
		return fmt.Sprintf("com.docker.network.driver.mtu: %d in driver_opts, in the file of netdoctor setup", mtu)
	}
	return ""
}

func networkVerb(eng, verb, options, network, name string) string {
	words := []string{cmp.Or(ToolOf(eng, ""), eng), "network", verb, options, network, name}
	if eng == "netdoctor" {
		words = []string{eng, verb, options, network, name}
	}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// IPCommand is how a person runs a command in a namespace.
func (in *Input) IPCommand(id, command string) string {
	if id == in.Snap.Host.Netns {
		return command
	}
	ns := in.Snap.Ns(id)
	switch {
	case ns == nil:
		return command
	case ns.IPNetns() != "":
		return "ip netns exec " + ns.IPNetns() + " " + command
	case len(ns.Pids) > 0:
		return fmt.Sprintf("nsenter -t %d -n %s", ns.Pids[0], command)
	case ns.Path != "":
		return "nsenter --net=" + ns.Path + " " + command
	}
	return command
}
