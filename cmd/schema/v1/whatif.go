package v1

// WhatIf is what was tried on the model before the flow was followed.
type WhatIf struct {
	// What was tried, in order.
	Changes []Change `json:"changes"`
	// What the model says of the flow without the changes.
	Before Said `json:"before"`
	// What becomes of other flows.
	Others Others `json:"others"`
}

// Others is what changes do to the flows of this host that they are not about:
// those that must work, and everybody's to everything that listens.
type Others struct {
	// How many were followed, before and after.
	Followed int `json:"followed"`
	// How many were not, for lack of time or room.
	LeftOut int `json:"leftOut"`
	// Flows that only work afterwards.
	Opens []AfterFlow `json:"opens"`
	// Flows that only work before.
	Closes []AfterFlow `json:"closes"`
	// Flows that end otherwise than before, and work neither before nor after or
	// can't be told.
	Differ []AfterFlow `json:"differ"`
}
