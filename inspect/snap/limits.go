package snap

// Limits are what the control groups of a container keep it from.
type Limits struct {
	// Pids of at most PidsMax processes and threads are there; PidsRefused is how
	// often one more was refused. 0: no limit.
	Pids        int `json:"pids,omitempty"`
	PidsMax     int `json:"pidsMax,omitempty"`
	PidsRefused int `json:"pidsRefused,omitempty"`
	// CPUQuota of CPU time may be used in each CPUPeriod, both in microseconds; in
	// Throttled of Periods it was used up. 0: no limit.
	CPUQuota  int `json:"cpuQuota,omitempty"`
	CPUPeriod int `json:"cpuPeriod,omitempty"`
	Periods   int `json:"periods,omitempty"`
	Throttled int `json:"throttled,omitempty"`
	// Later are they after the probes; nil: not looked at again.
	Later *Limits `json:"later,omitempty"`
}
