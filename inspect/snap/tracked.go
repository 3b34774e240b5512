package snap

// Tracked is what conntrack of a namespace has of one flow, asked for when the
// probes were over.
type Tracked struct {
	Netns string `json:"netns"`
	Proto uint8  `json:"proto"`
	// Asked is the flow's first direction as it is there.
	Asked Tuple `json:"asked"`
	// Conn is its entry; nil when there is none.
	Conn *Conn `json:"conn,omitempty"`
}
