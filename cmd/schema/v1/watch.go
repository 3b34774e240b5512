package v1

// KindWatch is the kind of each line of watch.
const KindWatch = "WatchEvent"

// WatchEvent is one thing that happened.
type WatchEvent struct {
	Head
	// drop: the kernel dropped packets; change: something was changed; sampled:
	// there were more drops than are told of; observer: who watches, or can't.
	Event string `json:"event" enum:"drop,change,sampled,observer"`
	// In one line.
	Text string `json:"text"`
	// Of a drop only.
	Drop *Drop `json:"drop,omitempty"`
	// Of a change only.
	Change *Difference `json:"change,omitempty"`
	// Of sampled: how many drops were not looked at since the last such line.
	Skipped int `json:"skipped"`
	// Of observer only.
	Observer *Observer `json:"observer,omitempty"`
}

// Found is nothing: an event is no diagnosis.
func (*WatchEvent) Found() *Tail { return &Tail{} }

// Drop is one sort of packet that was dropped at one place.
type Drop struct {
	// Where it was dropped.
	Netns string `json:"netns"`
	// The device it was on; empty when it was on none.
	Device string `json:"device"`
	// The container, engine:name, that sent it, by its address; empty when none did.
	FromContainer string `json:"fromContainer"`
	// The container that it was for; empty when it was for none.
	ToContainer string `json:"toContainer"`
	// Its source there.
	Src string `json:"src"`
	// Its destination there.
	Dst string `json:"dst"`
	// tcp, udp, sctp, icmp or icmp6.
	Proto string `json:"proto"`
	// The kernel's reason; empty when this kernel has none.
	Reason string `json:"reason"`
	// The kernel function.
	Func string `json:"func"`
	// The rule that the model says drops such a packet there; empty when none does.
	Rule string `json:"rule"`
	// How many since the last line about it.
	Times int `json:"times"`
}
