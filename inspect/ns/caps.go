package ns

// Capability is one thing that reading or probing needs, and whether this
// process may do it here.
type Capability struct {
	Name string // "enter namespaces", "read bpf programs" …
	For  string // what it is good for
	OK   bool
	// Why it is not so, in words; "" when OK.
	Why string
	// Needs is what it takes: "CAP_SYS_ADMIN", "nf_tables in the kernel".
	Needs string
}
