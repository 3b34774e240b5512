package snap

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Engine is a program that runs containers, or that ran them.
type Engine struct {
	Name      string `json:"name"`               // "docker", "podman", "docker@alice" and "podman@alice" (a user's own), "containerd", "cni", "named", "self"
	Version   string `json:"version,omitempty"`  // "20.10.24"
	API       string `json:"api,omitempty"`      // negotiated API version
	Endpoint  string `json:"endpoint,omitempty"` // unix:///run/docker.sock
	Reachable bool   `json:"reachable"`
	// Offline says that the engine did not answer and that its containers were
	// read from its files and from the kernel.
	Offline bool `json:"offline,omitempty"`
	// Why it did not answer, in plain words; "" when Reachable.
	Error string `json:"error,omitempty"`
	PID   int    `json:"pid,omitempty"` // of its daemon, 0 unknown or none
	// Remote says that the endpoint is another machine: its containers are not
	// in this kernel.
	Remote bool `json:"remote,omitempty"`
	// Rules is how it writes firewall rules: "docker-20" (iptables, one chain
	// set per bridge in FORWARD), "docker-28" (iptables with DOCKER-FORWARD),
	// "docker-nft" (tables docker-bridges), "netavark-nft", "netavark-iptables",
	// "none" (told not to), "" unknown.
	Rules         string         `json:"rules,omitempty"`
	IPTables      bool           `json:"iptables"` // may write rules
	IP6Tables     bool           `json:"ip6tables"`
	IPForward     bool           `json:"ipForward"` // sets the sysctl
	UserlandProxy bool           `json:"userlandProxy"`
	LiveRestore   bool           `json:"liveRestore"`
	Rootless      bool           `json:"rootless,omitempty"`
	DataRoot      string         `json:"dataRoot,omitempty"`
	ExecRoot      string         `json:"execRoot,omitempty"`
	ConfigFile    string         `json:"configFile,omitempty"`
	DNS           []string       `json:"dns,omitempty"`   // the daemon's own dns option
	Pools         []netip.Prefix `json:"pools,omitempty"` // default-address-pools, zero: the built-in ones
	PoolSizes     []int          `json:"poolSizes,omitempty"`
	Warnings      []string       `json:"warnings,omitempty"` // as the engine itself prints them
	SwarmActive   bool           `json:"swarmActive,omitempty"`
	// Hosts are the addresses that its daemon was told to serve its API at
	// ("unix:///run/docker.sock", "tcp://0.0.0.0:2375"); nil: its default, or not
	// known. TLSVerify says that it asks whoever comes by TCP for a certificate.
	Hosts     []string `json:"hosts,omitempty"`
	TLSVerify bool     `json:"tlsVerify,omitempty"`
	// DirectRouting says that it was told not to fence container addresses off
	// from the host's neighbours (--allow-direct-routing).
	DirectRouting bool `json:"directRouting,omitempty"`
	// Fences says that it is known to write rules into the raw table, which fence
	// container addresses off unless DirectRouting: Docker from 28.0 on, without
	// DOCKER_INSECURE_NO_IPTABLES_RAW=1 in its environment.
	Fences bool `json:"fences,omitempty"`
	// Proxies are the HTTP proxies that its daemon itself goes by, to fetch images.
	Proxies []Proxy    `json:"proxies,omitempty"`
	Own     *OwnEngine `json:"own,omitempty"` // of networks of our own
}

// Container is one container of any engine. For plain namespaces the engine is
// "named" or "pid", and most fields are empty.
type Container struct {
	// Ref is "engine:name", unique in the snapshot; what Netns.Containers and
	// findings use.
	Ref       string `json:"ref"`
	Engine    string `json:"engine"`
	ID        string `json:"id"`
	Name      string `json:"name"`
	Image     string `json:"image,omitempty"`
	State     string `json:"state"` // "running", "paused", "restarting", "exited", "created", "dead", Vanished
	ExitCode  int    `json:"exitCode,omitempty"`
	OOMKilled bool   `json:"oomKilled,omitempty"`
	Stopped   bool   `json:"stopped,omitempty"` // a person had the engine stop it, whatever its exit code
	Error     string `json:"error,omitempty"`   // as the engine says why it did not start
	// Complaint is the last that its program said of a network call that failed, before it
	// ended by itself; "" nothing, or not known.
	Complaint     string    `json:"complaint,omitempty"`
	Restarts      int       `json:"restarts,omitempty"`
	RestartPolicy string    `json:"restartPolicy,omitempty"`
	Started       time.Time `json:"started,omitzero"`
	Finished      time.Time `json:"finished,omitzero"`
	Health        string    `json:"health,omitempty"` // "healthy", "unhealthy", "starting", "" none
	PID           int       `json:"pid,omitempty"`
	Process       *Process  `json:"process,omitempty"` // its first process; State "T" is a stopped one
	Netns         string    `json:"netns,omitempty"`   // Netns.ID; "" when it has none (not running)
	SandboxKey    string    `json:"sandboxKey,omitempty"`
	// NetworkMode is "bridge", "host", "none", "container:ID", or a network's name.
	NetworkMode string      `json:"networkMode"`
	Hostname    string      `json:"hostname,omitempty"`
	Endpoints   []Endpoint  `json:"endpoints"`
	Ports       []Port      `json:"ports"`             // published
	Exposed     []PortProto `json:"exposed,omitempty"` // EXPOSE or --expose, published or not
	// Unbound are the ports that a running container was to publish and that its engine
	// did not bind: Docker passes over -p on networks where it does not translate.
	Unbound []Port `json:"unbound,omitempty"`
	// ArgPorts are the numbers in its command line that may be ports. The command
	// line itself is not kept: it may hold secrets.
	ArgPorts []uint16 `json:"argPorts,omitempty"`
	// Wants are names of other containers that its environment and command line
	// tell it to talk to; nothing else of them is kept.
	Wants []Want `json:"wants,omitempty"`
	// Proxies are the HTTP proxies that its environment names, NoProxy what is not
	// to be asked of them.
	Proxies []Proxy  `json:"proxies,omitempty"`
	NoProxy []string `json:"noProxy,omitempty"`
	DNS     []string `json:"dns,omitempty"`
	// Upstreams are the servers that Docker's embedded resolver has for it, as libnetwork's
	// store tells; of Dockers before 25, where nothing else does.
	Upstreams  []netip.Addr `json:"upstreams,omitempty"`
	DNSSearch  []string     `json:"dnsSearch,omitempty"`
	DNSOptions []string     `json:"dnsOptions,omitempty"`
	ExtraHosts []string     `json:"extraHosts,omitempty"`
	Links      []string     `json:"links,omitempty"`
	// Engine's own copies of the name service files, outside the container.
	ResolvConfPath string            `json:"resolvConfPath,omitempty"`
	HostsPath      string            `json:"hostsPath,omitempty"`
	HostnamePath   string            `json:"hostnamePath,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	// Sysctls given at start ("net.ipv4.ip_forward").
	Sysctls    map[string]string `json:"sysctls,omitempty"`
	Privileged bool              `json:"privileged,omitempty"`
	CapAdd     []string          `json:"capAdd,omitempty"`
	// Sockets are the engines' API sockets that are mounted into it.
	Sockets []SocketMount `json:"sockets,omitempty"`
	Limits  *Limits       `json:"limits,omitempty"` // of its control groups; nil none known
	// Infra holds the namespace of a Podman pod, and does nothing else.
	Infra   bool          `json:"infra,omitempty"`
	Service string        `json:"service,omitempty"` // compose or swarm service
	Project string        `json:"project,omitempty"` // compose project
	Own     *OwnContainer `json:"own,omitempty"`
}

// IsDocker says whether an engine is a Docker: root's, or a user's own ("docker@alice").
func IsDocker(engine string) bool {
	return engine == "docker" || strings.HasPrefix(engine, "docker@")
}

// IsPodman says whether an engine is a Podman: root's, or a user's own ("podman@alice").
func IsPodman(engine string) bool {
	return engine == "podman" || strings.HasPrefix(engine, "podman@")
}

// SocketMount is an engine's socket as a container sees it.
type SocketMount struct {
	Socket string `json:"socket"` // its path on the host
	At     string `json:"at"`     // where it is in the container
}

// Want is a name that a container is told to talk to.
type Want struct {
	Name string `json:"name"` // in lower case
	By   string `json:"by"`   // the variable that says so, or "its command line"
}

// Proxy is an HTTP proxy that programs are told to use, without its user and password.
type Proxy struct {
	By   string `json:"by"` // the variable
	Host string `json:"host"`
	Port uint16 `json:"port"`
}

// Vanished is the state of a container whose process ended while the host was read
// or probed.
const Vanished = "vanished"

// Running says whether it has processes (a paused one has, too).
func (c *Container) Running() bool { return c.State == "running" || c.State == "paused" }

// PortInUse says that its last start failed for want of a port (EADDRINUSE).
func (c *Container) PortInUse() bool { return strings.Contains(c.Error, "address already in use") }

// NetName is the name that a container's neighbours know it by: its own, or that of
// the pod (libpod/networking_common.go: getNetworkPodName).
func (c *Container) NetName() string {
	if c.Infra && c.Hostname != "" {
		return c.Hostname
	}
	return c.Name
}

// Endpoint is a container's place on one network.
type Endpoint struct {
	Network   string       `json:"network"` // the network's name
	NetworkID string       `json:"networkId"`
	ID        string       `json:"id,omitempty"`
	IPv4      netip.Prefix `json:"ipv4,omitzero"` // as the engine gave it out; zero when not running
	IPv6      netip.Prefix `json:"ipv6,omitzero"`
	Gateway4  netip.Addr   `json:"gateway4,omitzero"`
	Gateway6  netip.Addr   `json:"gateway6,omitzero"`
	// GwPriority is the user's (docker run --network name=app,gw-priority=1).
	GwPriority int      `json:"gwPriority,omitempty"`
	MAC        string   `json:"mac,omitempty"`
	Aliases    []string `json:"aliases,omitempty"`  // as given by the user
	DNSNames   []string `json:"dnsNames,omitempty"` // what the resolver answers to, where the engine says
	// Links are this container's own names for others on a network that the
	// user made: "container:alias". On the default bridge they are the container's.
	Links []string `json:"links,omitempty"`
	// StaticIPv4 is the address the user asked for (--ip), zero when none.
	StaticIPv4 netip.Addr `json:"staticIpv4,omitzero"`
	StaticIPv6 netip.Addr `json:"staticIpv6,omitzero"`
	// Link is the device in the container's namespace that holds it, by
	// address; "" when none does. HostLink is its other end.
	Link     string `json:"link,omitempty"`
	HostLink string `json:"hostLink,omitempty"`
}

// Port is one published port.
type Port struct {
	Proto         Proto      `json:"proto"`
	HostIP        netip.Addr `json:"hostIp"` // unspecified: all addresses of that family
	HostPort      uint16     `json:"hostPort"`
	ContainerPort uint16     `json:"containerPort"`
}

// PortProto is a port of a protocol.
type PortProto struct {
	Proto Proto  `json:"proto"`
	Port  uint16 `json:"port"`
}

// Network is one network of any engine.
type Network struct {
	Ref      string `json:"ref"` // "engine:name", unique
	Engine   string `json:"engine"`
	ID       string `json:"id"`
	Name     string `json:"name"`
	Driver   string `json:"driver"` // "bridge", "host", "null", "macvlan", "ipvlan", "overlay", plugin name
	Scope    string `json:"scope,omitempty"`
	Internal bool   `json:"internal,omitempty"`
	Ingress  bool   `json:"ingress,omitempty"`
	IPv6     bool   `json:"ipv6,omitempty"`
	Pools    []Pool `json:"pools"`
	// Bridge is the name of its bridge in the host's namespace, "" for drivers without.
	Bridge     string `json:"bridge,omitempty"`
	Parent     string `json:"parent,omitempty"` // of macvlan and ipvlan
	Mode       string `json:"mode,omitempty"`   // of macvlan and ipvlan
	MTU        int    `json:"mtu,omitempty"`    // as asked for; 0 default
	ICC        bool   `json:"icc"`              // containers may talk to each other
	Masquerade bool   `json:"masquerade"`
	// NoDefault says that its containers get no default route by it, by their
	// owner's will (netavark's no_default_route, CNI without such a route).
	NoDefault bool `json:"noDefault,omitempty"`
	// GatewayMode4/6: "nat", "nat-unprotected", "routed", "isolated"; "" is nat.
	GatewayMode4 string            `json:"gatewayMode4,omitempty"`
	GatewayMode6 string            `json:"gatewayMode6,omitempty"`
	HostBindIP   netip.Addr        `json:"hostBindIp,omitzero"`
	Default      bool              `json:"default,omitempty"` // the engine's default bridge: no names by DNS
	DNS          bool              `json:"dns"`               // names resolve on it
	DNSServers   []netip.Addr      `json:"dnsServers,omitempty"`
	DNSFile      string            `json:"dnsFile,omitempty"` // that its resolver has its names from (netavark); "" none
	VNI          uint32            `json:"vni,omitempty"`
	Options      map[string]string `json:"options,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Services     []Service         `json:"services,omitempty"` // names with a virtual address on it
	Created      time.Time         `json:"created,omitzero"`
	// File is the configuration it was read from (CNI, netavark), "" from an API.
	File string      `json:"file,omitempty"`
	Own  *OwnNetwork `json:"own,omitempty"`
	// Leases are the addresses that are given away on it, where a file says so for each
	// (CNI's host-local); nil where none do.
	Leases []Lease `json:"leases,omitempty"`
}

// Lease is an address that is given away, and the file that says so.
type Lease struct {
	Addr netip.Addr `json:"addr"`
	File string     `json:"file"`
}

// Service is a name that stands for several containers, by a virtual address
// from which connections go to one of them.
type Service struct {
	Name string     `json:"name"`
	VIP  netip.Addr `json:"vip"` // invalid: its name gives the addresses of its tasks
	// Tasks are the addresses on this network of the containers behind it, also of
	// those on other hosts; nil: its members on this host, by Container.Service.
	Tasks []netip.Addr `json:"tasks,omitempty"`
	// Ports are what every host of its swarm publishes for it, on an ingress
	// network and where a manager told; nil unknown or none.
	Ports []Port `json:"ports,omitempty"`
}

// Has says whether a container's place on the network is one of those behind it.
func (v *Service) Has(c *Container, ep *Endpoint) bool {
	if v.Tasks == nil {
		return c.Service == v.Name
	}
	return slices.Contains(v.Tasks, ep.IPv4.Addr()) || slices.Contains(v.Tasks, ep.IPv6.Addr())
}

// Pool is one subnet of a network.
type Pool struct {
	Subnet  netip.Prefix `json:"subnet"`
	Range   netip.Prefix `json:"range,omitzero"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	// Start and End are the first and the last that are given away, where that is no
	// prefix (CNI's host-local); invalid: all of Subnet.
	Start netip.Addr            `json:"start,omitzero"`
	End   netip.Addr            `json:"end,omitzero"`
	Aux   map[string]netip.Addr `json:"aux,omitempty"`
}

// DockerResolver is where programs in a container ask Docker's own resolver, and
// that of our own networks (moby daemon/libnetwork/resolver.go: resolverIPSandbox).
func DockerResolver() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 11}) }

// Resolver is what a namespace's programs use to turn names into addresses.
type Resolver struct {
	// Owner is "host" or a Container.Ref or a Netns.ID.
	Owner string `json:"owner"`
	Netns string `json:"netns"`
	// Source says which file was read: a path, with "engine:" before it when it
	// is the engine's own copy and "root:" when it was read through the
	// container's root.
	Source      string      `json:"source"`
	ResolvConf  ResolvConf  `json:"resolvConf"`
	Hosts       []HostsLine `json:"hosts"`
	HostsSource string      `json:"hostsSource,omitempty"`
	// HostsRaw is the hosts file as read, "" when it was not or in a redacted bundle.
	HostsRaw string `json:"hostsRaw,omitempty"`
	// Modified is when the host's resolv.conf was last written; zero elsewhere.
	Modified time.Time `json:"modified,omitzero"`
	// NSSwitch is the hosts line of nsswitch.conf, in order, actions in their
	// brackets; nil when there is no such file (musl, or glibc's default "dns files").
	NSSwitch []string `json:"nsswitch,omitempty"`
	// Libc is "glibc", "musl", "" unknown, told from the loader in the image.
	Libc string `json:"libc,omitempty"`
	// EngineResolvConf is the engine's own idea of the file's content (its
	// template), where it can be told: the raw text, "" unknown.
	EngineResolvConf string `json:"engineResolvConf,omitempty"`
	// Upstreams are the servers that a local stub named in ResolvConf
	// (systemd-resolved's 127.0.0.53) asks in its turn; nil unknown or no stub.
	Upstreams       []netip.Addr `json:"upstreams,omitempty"`
	UpstreamsSource string       `json:"upstreamsSource,omitempty"` // the file that tells them
}

// ResolvConf is a parsed resolv.conf(5).
type ResolvConf struct {
	Exists      bool         `json:"exists"`
	Raw         string       `json:"raw"`                // as read, at most 64 KiB
	Nameservers []netip.Addr `json:"nameservers"`        // all that are written, not just the first three
	BadLines    []string     `json:"badLines,omitempty"` // nameserver lines that are no address
	// Denied says why the container's first process may not read it, so that its
	// programs see none; "" when it may.
	Denied        string   `json:"denied,omitempty"`
	Search        []string `json:"search"` // the last search or domain line wins
	Options       []string `json:"options"`
	Ndots         int      `json:"ndots"`    // 1 when not set
	TimeoutS      int      `json:"timeoutS"` // 5 when not set
	Attempts      int      `json:"attempts"` // 2 when not set
	Rotate        bool     `json:"rotate,omitempty"`
	UseVC         bool     `json:"useVc,omitempty"`
	SingleRequest bool     `json:"singleRequest,omitempty"`
	EDNS0         bool     `json:"edns0,omitempty"`
	// Docker's own remarks in the file (engines from 25 on): upstream servers
	// with the namespace they are asked from, "host(198.51.100.53)" or "198.51.100.53".
	ExtServers []string `json:"extServers,omitempty"`
	BasedOn    string   `json:"basedOn,omitempty"`  // "Based on host file: '…'"
	Internal   bool     `json:"internal,omitempty"` // written by Docker for its own resolver
}

// HostsLine is one line of a hosts(5) file.
type HostsLine struct {
	Line  int        `json:"line"` // from 1
	Addr  netip.Addr `json:"addr"`
	Names []string   `json:"names"`
}

// GatewayElsewhere says that its owner had the bridge left without an IPv4 address:
// another machine on the segment is the gateway, or none is (Docker's inhibit_ipv4; netavark
// src/network/bridge.rs, BridgeMode::Unmanaged; CNI plugins/main/bridge: isGateway).
func (n *Network) GatewayElsewhere() bool {
	no, _ := strconv.ParseBool(n.Options["com.docker.network.bridge.inhibit_ipv4"]) // no word of Docker's: not set
	return no || n.Engine == "podman" && n.Options["mode"] == "unmanaged" || n.Options[OptIsGateway] == "false"
}

// OptIsGateway is the option of a network of CNI's bridge plugin whose bridge gets no
// address; in its configuration that is what nothing said means.
const OptIsGateway = "isGateway"

// Outward says whether the network leads its containers out of it.
func (n *Network) Outward() bool { return !n.Internal && !n.NoDefault }
