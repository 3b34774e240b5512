package names

// Kinds of Problem.
const (
	NoNameserver     = "no-nameserver" // resolv.conf is missing, empty, or names none
	LoopbackStub     = "loopback-stub" // a loopback server that nobody serves in this namespace
	LoDown           = "lo-down"       // 127.0.0.11 is behind a loopback device that is down
	DNATMissing      = "resolver-dnat-missing"
	DNATDeadPort     = "resolver-dnat-dead-port"
	SocketGone       = "resolver-socket-gone" // the engine's resolver does not listen: its daemon is dead
	EngineHung       = "engine-hung"          // it listens, but its process is stopped
	Unreachable      = "upstream-unreachable" // the model says the way to a server is cut
	UpstreamDead     = "upstream-dead"        // no answer to a live question
	SilentForName    = "silent-for-name"      // none to that question, while the server answers others
	OnlyIPv6         = "ipv6-only"            // the name has an IPv6 address alone, and who asks has no IPv6
	TooLate          = "too-late"             // a server answers after the client has given up
	UpstreamRefuses  = "upstream-refuses"     // REFUSED or SERVFAIL to a live question
	BigAnswersLost   = "big-answers-lost"     // cut short by UDP, and the rest does not come by TCP
	NotShared        = "not-shared-network"   // the name belongs to a container on another network
	DefaultBridge    = "default-bridge"       // no names by DNS there
	NotRunning       = "container-not-running"
	NoSuchName       = "no-such-name"
	BypassesEmbedded = "bypasses-embedded" //nolint:gosec // G101: no password
	HostsOverride    = "hosts-override"
	GoogleFallback   = "google-fallback"
	FirstServerDead  = "first-server-dead"
	Diverted         = "diverted"       // a rule sends questions to another address, and no good answer comes from there
	ServersDiffer    = "servers-differ" // servers of one list answer one name differently
	ForwardLoop      = "forward-loop"   // a server is its own upstream
	AardvarkDead     = "aardvark-dead"
	Port53Taken      = "port53-taken"
	AliasMissing     = "alias-missing"     // a service of that name is there, but its container does not answer to it
	BadSearch        = "bad-search"        // the search list leads elsewhere than the name as it stands
	HalfSilent       = "half-silent"       // a server keeps silent to one kind of question, AAAA or with EDNS
	SlowSearch       = "slow-search"       // names of the search list are waited for in vain
	NoDNSSource      = "nsswitch-no-dns"   // nsswitch.conf does not ask DNS at all
	NoFilesSource    = "nsswitch-no-files" // the name is in the hosts file, which nsswitch.conf does not ask
	UpstreamMissing  = "no-upstream"       // the engine's resolver has no server to forward to
	InternalNetwork  = "internal-network"  // outside names are not answered there, by design
)
