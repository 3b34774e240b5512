package v1

// SetupResult is the answer of setup, teardown, connect and disconnect.
type SetupResult struct {
	Head
	// setup, teardown, connect or disconnect.
	Action string `json:"action"`
	// Nothing was done: these are the changes that would be made.
	DryRun bool `json:"dryRun"`
	// What was done, in order.
	Changes []Made `json:"changes"`
	// What is not as it was set up (setup --check).
	Drift []string `json:"drift"`
	// What is not wrong, and should be known.
	Warnings []string `json:"warnings"`
	// The networks that are there now.
	Networks []Item `json:"networks"`
	// The containers that are there now.
	Containers []Item `json:"containers"`
	Tail
}

// Made is one thing that was made, changed or taken away.
type Made struct {
	// made, removed, connected, disconnected.
	Did string `json:"did"`
	// What it was done to.
	What string `json:"what"`
	// The lines that a person would type to the same end; given in a dry run.
	Do []string `json:"do"`
}
