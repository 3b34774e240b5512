package engine

import "encoding/json"

// The parts of Docker's answers that are used. They are types of our own, as
// the API's parse strictly: one odd address or port in one of a thousand
// containers would cost all of them. Names match in any case, so the same types
// read the API's objects and the daemon's files (config.v2.json,
// hostconfig.json; moby daemon/container/container.go).

type dockerState struct {
	Status     string
	Running    bool
	Paused     bool
	Restarting bool
	Dead       bool
	OOMKilled  bool
	Pid        int
	ExitCode   int
	Error      string
	StartedAt  string
	FinishedAt string
	Health     *struct{ Status string }
}

type dockerBinding struct {
	HostIP   string `json:"HostIp"`
	HostPort string
}

type dockerHostConfig struct {
	NetworkMode   string
	PortBindings  map[string][]dockerBinding
	RestartPolicy struct{ Name string }
	CapAdd        []string
	Dns           []string
	DnsOptions    []string
	DnsSearch     []string
	ExtraHosts    []string
	Links         []string
	Privileged    bool
	Sysctls       map[string]string
}

type dockerEndpoint struct {
	IPAMConfig *struct {
		IPv4Address string
		IPv6Address string
	}
	Links               []string
	Aliases             []string
	DNSNames            []string
	NetworkID           string
	EndpointID          string
	Gateway             string
	IPAddress           string
	IPPrefixLen         int
	IPv6Gateway         string
	GlobalIPv6Address   string
	GlobalIPv6PrefixLen int
	MacAddress          string
	GwPriority          int
}

type dockerNetworkSettings struct {
	SandboxKey string
	Ports      map[string][]dockerBinding
	Networks   map[string]*dockerEndpoint
}

type dockerContainer struct {
	ID           string
	Name         string
	Created      string
	Path         string
	Args         []string
	State        dockerState
	RestartCount int
	// HasBeenManuallyStopped is in the file only.
	HasBeenManuallyStopped bool
	ResolvConfPath         string
	HostnamePath           string
	HostsPath              string
	HostConfig             dockerHostConfig
	Config                 struct {
		Hostname     string
		Env          []string
		Domainname   string
		Image        string
		ExposedPorts map[string]json.RawMessage
		Labels       map[string]string
	}
	NetworkSettings dockerNetworkSettings
}

// dockerSummary is one line of the list of containers.
type dockerSummary struct {
	ID         string
	Names      []string
	Image      string
	State      string
	Labels     map[string]string
	HostConfig struct{ NetworkMode string }
	Ports      []struct {
		IP          string
		PrivatePort uint16
		PublicPort  uint16
		Type        string
	}
	NetworkSettings struct {
		Networks map[string]*dockerEndpoint
	}
}

type dockerPool struct {
	Subnet             string
	IPRange            string
	Gateway            string
	AuxiliaryAddresses map[string]string
}

type dockerNetwork struct {
	ID         string
	Name       string
	Created    string
	Scope      string
	Driver     string
	EnableIPv6 bool
	Internal   bool
	Ingress    bool
	IPAM       struct {
		Config []dockerPool
	}
	Options map[string]string
	Labels  map[string]string
}

type dockerInfo struct {
	ServerVersion      string
	DockerRootDir      string
	LiveRestoreEnabled bool
	SecurityOptions    []string
	Warnings           []string
	Swarm              struct {
		LocalNodeState   string
		ControlAvailable bool // this host is a manager
	}
	DefaultAddressPools []struct {
		Base string
		Size int
	}
	FirewallBackend *struct{ Driver string }
	HTTPProxy       string `json:"HttpProxy"`
	HTTPSProxy      string `json:"HttpsProxy"`
}

type dockerVersion struct {
	Version    string
	APIVersion string
}
